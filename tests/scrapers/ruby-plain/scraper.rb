# Planning applications, with what Ruby brings and SQLite.
require "cgi"
require "net/http"
require "sqlite3"

def fetch(path)
  uri = URI.join(ENV.fetch("MORPH_SITE"), path)
  puts "reading #{uri}"
  Net::HTTP.get(uri).force_encoding("UTF-8")
end

def text(markup)
  CGI.unescapeHTML(markup.gsub(/<[^>]+>/, ""))
end

ROW = %r{<tr><td><a href="([^"]+)">([^<]+)</a></td><td>(\d+)/(\d+)/(\d+)</td><td>(.*?)</td></tr>}

database = SQLite3::Database.new("data.sqlite")
database.execute(<<~SQL)
  CREATE TABLE IF NOT EXISTS data
  (id TEXT PRIMARY KEY, address TEXT, received DATE, description TEXT, cost REAL, decided BOOLEAN)
SQL
path = "/"
while path
  page = fetch(path)
  page.scan(ROW) do |link, reference, day, month, year, address|
    details = fetch(link).scan(%r{<th>(\w+)</th><td>(.*?)</td>}).to_h
    row = [
      reference, text(address), format("%d-%02d-%02d", year.to_i, month.to_i, day.to_i), text(details["Description"]),
      details["Cost"].delete("$,").to_f, details["Decided"] == "yes" ? 1 : 0
    ]
    database.execute("INSERT OR REPLACE INTO data VALUES (?, ?, ?, ?, ?, ?)", row)
  end
  path = page[/rel="next" href="([^"]+)"/, 1]
end
