"""Makes files and folders without end, each of them empty.

Must happen: the run ends `disk_full` by the limit of files; the machine has inodes left; cleaning up the deep
folders works; the row that was saved before is kept.
"""

import itertools
import os
import sys

import scraperwiki

if os.getcwd() != "/app":
    sys.exit("this scraper does harm: it runs in a sandbox only")

scraperwiki.sql.save(["id"], {"id": 1, "kept": True})

for depth in itertools.count():
    os.makedirs("d" * 200)
    os.chdir("d" * 200)
    for number in range(100):
        open(f"{depth}-{number}", "w").close()
