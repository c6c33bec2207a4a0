"""Leaves a data.sqlite with a page that is overwritten.

Must happen: the file is put aside and named, the last version stays in force, the run's row counts are not
those of the broken file.
"""

import os
import sys

import scraperwiki

if os.getcwd() != "/app":
    sys.exit("this scraper does harm: it runs in a sandbox only")

scraperwiki.sql.save(["id"], {"id": 1, "kept": True})

scraperwiki.sql.save(["id"], [{"id": number, "text": "x" * 500} for number in range(1000)])
with open("data.sqlite", "r+b") as file:
    file.seek(8192)
    file.write(os.urandom(65536))
