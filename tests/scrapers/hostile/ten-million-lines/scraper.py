"""Prints ten million lines.

Must happen: the run succeeds at the speed of the scraper; the log keeps its limit of lines and says that the
rest is cut; memory of the worker stays as it is; other logs are not slower.
"""

import os
import sys

import scraperwiki

if os.getcwd() != "/app":
    sys.exit("this scraper does harm: it runs in a sandbox only")

scraperwiki.sql.save(["id"], {"id": 1, "kept": True})

for start in range(0, 10_000_000, 10_000):
    sys.stdout.write("".join(f"line {number} of ten million\n" for number in range(start, start + 10_000)))
print("done", file=sys.stderr)
