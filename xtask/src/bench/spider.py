"""A plain Scrapy spider: follow every link within the site, write title and text of every page."""

import json
import sys
import time
from urllib.parse import urlsplit

from scrapy.crawler import CrawlerProcess
from scrapy.linkextractors import LinkExtractor
from scrapy.spiders import CrawlSpider, Rule

start, output = sys.argv[1:3]


class Pages(CrawlSpider):
    name = "pages"
    start_urls = [start]
    allowed_domains = [urlsplit(start).hostname]
    rules = [Rule(LinkExtractor(), callback="write", follow=True)]

    def parse_start_url(self, response):
        return self.write(response)

    def write(self, response):
        if b"html" not in response.headers.get("Content-Type", b""):
            return
        text = " ".join(response.xpath("//body//text()[not(parent::script or parent::style)]").getall())
        page = {"url": response.url, "title": response.xpath("//title/text()").get(), "text": text}
        lines.write(json.dumps(page) + "\n")


with open(output, "w") as lines:
    process = CrawlerProcess(
        {
            "LOG_ENABLED": False,
            "TELNETCONSOLE_ENABLED": False,
            "CONCURRENT_REQUESTS": 32,
            "CONCURRENT_REQUESTS_PER_DOMAIN": 32,
            "DOWNLOAD_DELAY": 0,
            "ROBOTSTXT_OBEY": True,
        }
    )
    process.crawl(Pages)
    started = time.monotonic()
    process.start()
    print(time.monotonic() - started)
