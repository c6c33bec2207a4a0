"""Starts processes that start processes.

Must happen: the limit of processes refuses them, the run ends when its time is over at the latest, no process
is left, other runs go on, and the row that was saved before is kept.
"""

import os
import sys

import scraperwiki

if os.getcwd() != "/app":
    sys.exit("this scraper does harm: it runs in a sandbox only")

scraperwiki.sql.save(["id"], {"id": 1, "kept": True})

while True:
    try:
        os.fork()
    except OSError as error:
        print(f"no more processes: {error}", flush=True)
