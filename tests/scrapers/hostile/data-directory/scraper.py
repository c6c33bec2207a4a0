"""Leaves data.sqlite as a folder.

Must happen: the data is refused with its reason, the last version stays in force.
"""

import os
import sys

if os.getcwd() != "/app":
    sys.exit("this scraper does harm: it runs in a sandbox only")

if os.path.lexists("data.sqlite"):
    os.remove("data.sqlite")
os.makedirs("data.sqlite/data.sqlite")
