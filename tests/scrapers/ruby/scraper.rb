# Planning applications, with scraperwiki.
require "cgi"
require "date"
require "scraperwiki"

def text(markup)
  CGI.unescapeHTML(markup.gsub(/<[^>]+>/, "")).strip
end

def fetch(url)
  puts "reading #{url}"
  ScraperWiki.scrape(url)
end

def application(cells)
  link = cells[0][/href="([^"]+)"/, 1]
  details = fetch(URI.join(ENV.fetch("MORPH_SITE"), link)).scan(%r{<th>(\w+)</th><td>(.*?)</td>}).to_h
  {
    "id" => text(cells[0]),
    "address" => text(cells[2]),
    "received" => Date.strptime(cells[1], "%d/%m/%Y"),
    "description" => text(details["Description"]),
    "cost" => details["Cost"].delete("$,").to_f,
    "decided" => details["Decided"] == "yes"
  }
end

url = URI.join(ENV.fetch("MORPH_SITE"), "/")
count = 0
while url
  page = fetch(url)
  rows = page.scan(%r{<tr>(<td>.*?)</tr>}m).map { |(row)| row.scan(%r{<td>(.*?)</td>}m).flatten }
  applications = rows.map { |cells| application(cells) }
  ScraperWiki.save_sqlite(["id"], applications)
  count += applications.size
  following = page[/rel="next" href="([^"]+)"/, 1]
  url = following && URI.join(url, following)
end
puts "saved #{count} applications"
