"""Asks for the machine itself, its network and the metadata service of clouds: by name, by number in all
spellings, by redirect, by DNS answer. `MORPH_SITE`, where it is set, answers `/to?ADDRESS` with a redirect to
the address; `MORPH_PRIVATE_NAMES` are names that resolve to private addresses.

Must happen: none is reached, the proxy's log names each with the reason; the run succeeds (it fails when it
reached one).
"""

import os
import sys
import urllib.request

import scraperwiki

if os.getcwd() != "/app":
    sys.exit("this scraper does harm: it runs in a sandbox only")

scraperwiki.sql.save(["id"], {"id": 1, "kept": True})

ADDRESSES = [
    "http://169.254.169.254/latest/meta-data/",
    "http://metadata.google.internal/",
    "http://localhost/",
    "http://127.0.0.1/",
    "http://127.1/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0177.0.0.1/",
    "http://0.0.0.0/",
    "http://[::1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[fd00:ec2::254]/",
    "http://10.0.0.1/",
    "http://172.16.0.1/",
    "http://192.168.0.1/",
    "http://100.64.0.1/",
    "https://127.0.0.1/",
    "http://127.0.0.1:5432/",
]
ADDRESSES += [f"http://{name}/" for name in os.environ.get("MORPH_PRIVATE_NAMES", "").split()]
if "MORPH_SITE" in os.environ:
    ADDRESSES += [f"{os.environ['MORPH_SITE']}/to?{address}" for address in list(ADDRESSES)]

reached = 0
for address in ADDRESSES:
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:
            print(f"reached: {address}: {answer.read(100)}")
            reached += 1
    except (OSError, ValueError) as error:
        print(f"refused: {address}: {error}")
sys.exit(1 if reached else 0)
