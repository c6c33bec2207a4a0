"""Leaves rows in data.sqlite-wal alone and is killed in the middle of a transaction.

Must happen: the run has failed by a signal; its data has the rows 1 to 100, which were committed, and not row
101, which was not.
"""

import os
import signal
import sqlite3
import sys

if os.getcwd() != "/app":
    sys.exit("this scraper does harm: it runs in a sandbox only")

database = sqlite3.connect("data.sqlite", isolation_level=None)
database.execute("PRAGMA journal_mode = WAL")
database.execute("PRAGMA wal_autocheckpoint = 0")
database.execute("DROP TABLE IF EXISTS data")
database.execute("CREATE TABLE data (id INTEGER PRIMARY KEY)")
database.executemany("INSERT INTO data VALUES (?)", [(number,) for number in range(1, 101)])
database.execute("BEGIN")
database.execute("INSERT INTO data VALUES (101)")
os.kill(os.getpid(), signal.SIGKILL)
