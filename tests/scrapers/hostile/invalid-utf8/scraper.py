"""Prints bytes that are no text: cut sequences, NUL, terminal codes, HTML, lone carriage returns, half of a
letter now and half later.

Must happen: what is not UTF-8 is replaced, the letter that came in two halves is whole, the page shows
`<script>` as text, the events stay well formed; the run succeeds.
"""

import os
import sys
import time

import scraperwiki

if os.getcwd() != "/app":
    sys.exit("this scraper does harm: it runs in a sandbox only")

scraperwiki.sql.save(["id"], {"id": 1, "kept": True})

for part in [
    b"\xff\xfe\xc3\x28 \xe2\x82 \xf0\x9f\n",
    b"nul \x00 bell \x07 colours \x1b[31mred\x1b[0m\x1b]0;title\x07\n",
    b"<script>alert(1)</script> & \"quotes\"\n",
    b"one\rtwo\rthree\r\n",
    b"data: not an event\n\nevent: nor this\n",
    b"caf\xc3",
]:
    os.write(1, part)
time.sleep(0.3)
os.write(1, b"\xa9\n")
os.write(2, b"\xed\xa0\x80 no line end")
