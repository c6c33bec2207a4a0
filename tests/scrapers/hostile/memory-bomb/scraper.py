"""Takes memory without end.

Must happen: the run is killed for memory and ends `out_of_memory` with its peak, not `failed`; no other
process of the machine is killed; the row that was saved before is kept.
"""

import os
import sys

import scraperwiki

if os.getcwd() != "/app":
    sys.exit("this scraper does harm: it runs in a sandbox only")

scraperwiki.sql.save(["id"], {"id": 1, "kept": True})

kept = []
while True:
    kept.append(bytearray(os.urandom(1 << 20)) * 16)
    print(f"{len(kept) * 16} MiB", flush=True)
