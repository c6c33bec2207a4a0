"""Planning applications, with what Python brings."""

import html
import os
import re
import sqlite3
import urllib.request
from urllib.parse import urljoin

ROW = re.compile(r'<tr><td><a href="([^"]+)">([^<]+)</a></td><td>(\d+)/(\d+)/(\d+)</td><td>(.*?)</td></tr>')
DETAIL = re.compile(r"<th>(\w+)</th><td>(.*?)</td>")
NEXT = re.compile(r'rel="next" href="([^"]+)"')


def fetch(url):
    print("reading", url, flush=True)
    with urllib.request.urlopen(url) as answer:
        return answer.read().decode("utf-8")


def text(markup):
    return html.unescape(re.sub(r"<[^>]+>", "", markup))


database = sqlite3.connect("data.sqlite")
database.execute(
    """CREATE TABLE IF NOT EXISTS data
       (id TEXT PRIMARY KEY, address TEXT, received DATE, description TEXT, cost REAL, decided BOOLEAN)"""
)
url = os.environ["MORPH_SITE"] + "/"
while url:
    page = fetch(url)
    for link, reference, day, month, year, address in ROW.findall(page):
        details = {name: text(value) for name, value in DETAIL.findall(fetch(urljoin(url, link)))}
        received = f"{int(year)}-{int(month):02}-{int(day):02}"
        cost = float(re.sub(r"[$,]", "", details["Cost"]))
        row = (reference, text(address), received, details["Description"], cost, details["Decided"] == "yes")
        database.execute("INSERT OR REPLACE INTO data VALUES (?, ?, ?, ?, ?, ?)", row)
    database.commit()
    following = NEXT.search(page)
    url = following and urljoin(url, following[1])
