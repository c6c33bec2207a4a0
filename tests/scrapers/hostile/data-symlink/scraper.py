"""Leaves data.sqlite as a link to a file of the machine.

Must happen: the link is not followed, the data is refused with its reason, the last version stays in force.
"""

import os
import sys

if os.getcwd() != "/app":
    sys.exit("this scraper does harm: it runs in a sandbox only")

if os.path.lexists("data.sqlite"):
    os.remove("data.sqlite")
os.symlink("/etc/passwd", "data.sqlite")
