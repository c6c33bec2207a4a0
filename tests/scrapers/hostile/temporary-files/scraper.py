"""Fills /tmp without end.

Must happen: /tmp is limited and counts as memory, so the run gets "no space left" there or ends
`out_of_memory`; the row that was saved before is kept.
"""

import os
import sys

import scraperwiki

if os.getcwd() != "/app":
    sys.exit("this scraper does harm: it runs in a sandbox only")

scraperwiki.sql.save(["id"], {"id": 1, "kept": True})

with open("/tmp/large", "wb", buffering=0) as file:
    while True:
        file.write(bytes(1 << 20))
