"""Planning applications, with scraperwiki."""

import datetime
import os
import re
from html.parser import HTMLParser
from urllib.parse import urljoin

import scraperwiki


class Table(HTMLParser):
    """The rows of all tables of a page, and its links."""

    def __init__(self, page):
        super().__init__()
        self.rows, self.links, self.next = [], [], None
        self.cell = None
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.cell = ""
        elif tag == "a" and attributes.get("rel") == "next":
            self.next = attributes["href"]
        elif tag == "a" and self.cell is not None:
            self.links.append(attributes["href"])

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self.rows[-1].append(self.cell.strip())
            self.cell = None

    def handle_data(self, data):
        if self.cell is not None:
            self.cell += data


def fetch(url):
    print(f"reading {url}")
    return Table(scraperwiki.scrape(url))


def application(url, reference, received, address):
    details = dict(fetch(url).rows)
    day, month, year = map(int, received.split("/"))
    return {
        "id": reference,
        "address": address,
        "received": datetime.date(year, month, day),
        "description": details["Description"],
        "cost": float(re.sub(r"[$,]", "", details["Cost"])),
        "decided": details["Decided"] == "yes",
    }


url, count = os.environ["MORPH_SITE"] + "/", 0
while url:
    page = fetch(url)
    for link, row in zip(page.links, page.rows[1:]):
        scraperwiki.sqlite.save(unique_keys=["id"], data=application(urljoin(url, link), *row))
        count += 1
    url = page.next and urljoin(url, page.next)
print(f"saved {count} applications")
