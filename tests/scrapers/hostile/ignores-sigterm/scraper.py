"""Ignores every signal that can be ignored, and goes on for ever.

Must happen: stopped by somebody it ends `stopped`, and by time `timed_out`, when the grace after SIGTERM is
over; nothing is left of it.
"""

import os
import signal
import sys
import time

import scraperwiki

if os.getcwd() != "/app":
    sys.exit("this scraper does harm: it runs in a sandbox only")

scraperwiki.sql.save(["id"], {"id": 1, "kept": True})

for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
    signal.signal(number, lambda number, frame: print(f"signal {number} is ignored", flush=True))
print("ready", flush=True)
while True:
    time.sleep(0.1)
