# Takes the steps of a case through Haul's scraperwiki and prints what each gave.
require "scraperwiki"
require "base64"

CALLS = {
  "save" => :save,
  "select" => :select,
  "execute" => :sqliteexecute,
  "save_var" => :save_var,
  "get_var" => :get_var,
  "show_tables" => :show_tables
}.freeze

def read(value)
  case value
  when Array then value.map { |part| read(part) }
  when Hash
    return Integer(value["$int"]) if value.key?("$int")
    return Base64.decode64(value["$bytes"]) if value.key?("$bytes")
    return Time.iso8601(value["$datetime"]) if value.key?("$datetime")
    return Date.iso8601(value["$date"]) if value.key?("$date")

    value.transform_values { |part| read(part) }
  else value
  end
end

def written(value)
  case value
  when Array then value.map { |part| written(part) }
  when Hash then value.transform_values { |part| written(part) }
  when Integer then value.abs > 2**53 ? { "$int" => value.to_s } : value
  when Time then { "$datetime" => value.strftime("%Y-%m-%dT%H:%M:%S%:z") }
  when String then value.encoding == Encoding::BINARY ? { "$bytes" => Base64.strict_encode64(value) } : value
  else value
  end
end

def result(call, arguments)
  return written(ScraperWiki.scrape(ENV.fetch("SITE") + arguments.first)) if call == "scrape"

  given = ScraperWiki.public_send(CALLS.fetch(call), *arguments)
  return given.keys.sort if call == "show_tables"

  written(given) if %w[select get_var].include?(call)
end

cases = JSON.parse(File.read(ENV.fetch("CASES"), encoding: "UTF-8"))
cases.find { |found| found["name"] == ENV.fetch("CASE") }["steps"].each do |step|
  call, arguments = step.first
  puts JSON.generate("result" => result(call, read(arguments)))
rescue StandardError => e
  puts JSON.generate("error" => e.message)
end
