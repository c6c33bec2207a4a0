"""Leaves data.sqlite as a FIFO, at which a careless reader waits for ever.

Must happen: nobody waits, the data is refused with its reason, the last version stays in force.
"""

import os
import sys

if os.getcwd() != "/app":
    sys.exit("this scraper does harm: it runs in a sandbox only")

if os.path.lexists("data.sqlite"):
    os.remove("data.sqlite")
os.mkfifo("data.sqlite")
