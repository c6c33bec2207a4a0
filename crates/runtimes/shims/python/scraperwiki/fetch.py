"""Fetching a page."""

import codecs
import re
import urllib.parse
import urllib.request

AGENT = "Mozilla/5.0 (compatible; Haul)"
TIMEOUT_SECONDS = 60
META_CHARSET = re.compile(rb"""<meta[^>]+charset\s*=\s*["']?([\w-]+)""", re.IGNORECASE)
XML_DECLARATION = re.compile(r"\A\s*<\?xml[^>]*\?>")


def scrape(url, params=None, user_agent=None):
    """Returns what is at `url`: text as `str`, everything else (PDF, images) as `bytes`.

    With `params` (a mapping or pairs) it is a POST of a form. A status of 400 or more raises `urllib.error.HTTPError`.
    """
    body = None if params is None else urllib.parse.urlencode(params, doseq=True).encode()
    request = urllib.request.Request(url, data=body, headers={"User-Agent": user_agent or AGENT})
    with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
        content = answer.read()
        kind = answer.headers.get_content_type()
        charset = answer.headers.get_content_charset()
    return _text(content, charset) if charset or _is_text(kind) else content


def _is_text(kind):
    return kind.startswith("text/") or kind.endswith(("/json", "+json", "/xml", "+xml", "/javascript"))


def _text(content, charset):
    found = META_CHARSET.search(content[:4096])
    for name in (charset, found and found[1].decode("ascii"), "utf-8"):
        try:
            # A declared encoding is not true any more once the bytes are decoded, and lxml refuses such text.
            return XML_DECLARATION.sub("", content.decode(_as_browsers_read(name or "utf-8")))
        except (LookupError, UnicodeDecodeError):
            continue
    return content.decode("utf-8", "replace")


def _as_browsers_read(charset):
    """Pages that say Latin 1 mean Windows 1252 (WHATWG, Encoding)."""
    return "cp1252" if codecs.lookup(charset).name in ("iso8859-1", "ascii") else charset
