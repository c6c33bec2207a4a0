"""Haul's scraperwiki for Python: fetch pages with `scrape`, keep rows in data.sqlite with `sql`.

`scraperwiki.sqlite` is another name for `scraperwiki.sql`.
"""

import sys

from . import sql
from .fetch import scrape

sqlite = sql
sys.modules[__name__ + ".sqlite"] = sql

__all__ = ["scrape", "sql", "sqlite"]
