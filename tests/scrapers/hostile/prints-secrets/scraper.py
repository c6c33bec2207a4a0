"""Prints its secrets: plain, in Base64, hexadecimal, as a URL has them, in an error, in two writes, and
letter by letter.

Must happen: the log has none of them in these forms but the last two: the value in two writes is masked as
well, since it stands in one line; letter by letter nobody can mask it.
"""

import base64
import binascii
import os
import sys
import time
import urllib.parse

import scraperwiki

if os.getcwd() != "/app":
    sys.exit("this scraper does harm: it runs in a sandbox only")

scraperwiki.sql.save(["id"], {"id": 1, "kept": True})

for name, value in os.environ.items():
    if not name.startswith("MORPH_"):
        continue
    print(f"plain: {value}")
    print(f"base64: {base64.b64encode(value.encode()).decode()}")
    print(f"hexadecimal: {binascii.hexlify(value.encode()).decode()}")
    print(f"address: https://example.org/?key={urllib.parse.quote_plus(value)}")
    print(f"error: {value}", file=sys.stderr)
    half = len(value) // 2
    print(f"halves: {value[:half]}", end="", flush=True)
    time.sleep(0.2)
    print(value[half:])
    print(*value, sep="\n")
