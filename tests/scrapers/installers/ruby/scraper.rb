require "dep"
require "scraperwiki"

ScraperWiki.save_sqlite(["id"], { "id" => 1 })
puts "#{DEP}, and #{ScraperWiki.name.downcase}"
