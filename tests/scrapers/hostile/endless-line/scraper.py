"""Prints one line without an end, 256 MiB of it.

Must happen: the line is cut at the limit and says so; memory of the worker stays as it is; the run succeeds.
"""

import os
import sys

import scraperwiki

if os.getcwd() != "/app":
    sys.exit("this scraper does harm: it runs in a sandbox only")

scraperwiki.sql.save(["id"], {"id": 1, "kept": True})

for _ in range(256):
    sys.stdout.write("x" * (1 << 20))
