"""Writes one file without end.

Must happen: the run ends `disk_full`; the machine's disk is not full; the row that was saved before is kept.
"""

import os
import sys

import scraperwiki

if os.getcwd() != "/app":
    sys.exit("this scraper does harm: it runs in a sandbox only")

scraperwiki.sql.save(["id"], {"id": 1, "kept": True})

block = os.urandom(1 << 20)
with open("large", "wb", buffering=0) as file:
    while True:
        file.write(block)
