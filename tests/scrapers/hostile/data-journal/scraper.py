"""Is killed in the middle of a large transaction, so that a hot journal is left beside a data.sqlite that is
half changed.

Must happen: the run has failed by a signal; its data is what it was before the transaction: 1,000 rows with
`old`.
"""

import os
import signal
import sqlite3
import sys

if os.getcwd() != "/app":
    sys.exit("this scraper does harm: it runs in a sandbox only")

database = sqlite3.connect("data.sqlite", isolation_level=None)
database.execute("PRAGMA cache_size = 10")
database.execute("DROP TABLE IF EXISTS data")
database.execute("CREATE TABLE data (id INTEGER PRIMARY KEY, text TEXT)")
database.execute("BEGIN")
database.executemany("INSERT INTO data VALUES (?, ?)", [(number, "old" * 200) for number in range(1000)])
database.execute("COMMIT")
database.execute("BEGIN")
database.execute("UPDATE data SET text = replace(text, 'old', 'new')")
os.kill(os.getpid(), signal.SIGKILL)
