"""Forks twice into a session of its own, closes its streams and goes on, while the scraper itself ends.

Must happen: the run ends with the scraper's own exit, at once, and the detached process is gone by then: it
would write to data.sqlite.
"""

import os
import sys
import time

import scraperwiki

if os.getcwd() != "/app":
    sys.exit("this scraper does harm: it runs in a sandbox only")

scraperwiki.sql.save(["id"], {"id": 1, "kept": True})

if os.fork() == 0:
    os.setsid()
    if os.fork() != 0:
        os._exit(0)
    for stream in (0, 1, 2):
        os.close(stream)
    while True:
        time.sleep(0.1)
        scraperwiki.sql.save(["id"], {"id": 2, "kept": False, "at": time.time()})
print("the scraper ends", flush=True)
