"""Rows in data.sqlite. Tables and columns appear as they are needed.

Every call is a transaction of its own, unless the scraper began one with `execute("BEGIN")`.
"""

import contextlib
import datetime
import json
import re
import sqlite3
from collections.abc import Mapping

DATABASE = "data.sqlite"
SqliteError = sqlite3.Error

_connection = None


def save(unique_keys, data, table_name="data", verbose=None):
    """Saves one row (a mapping) or many (an iterable of mappings) in one transaction.

    A row whose `unique_keys` are those of a stored row changes that row in place; columns that it does not name stay.
    """
    rows = [data] if isinstance(data, Mapping) else list(data)
    table = _Table(_open(), table_name)
    with _whole():
        for row in rows:
            table.upsert([str(key) for key in unique_keys], _cells(row))


def select(query, data=None, verbose=None):
    """Returns the rows, as dictionaries, of `SELECT query`; a whole SELECT or WITH statement works too."""
    is_whole = re.match(r"\s*(select|with)\b", query, re.IGNORECASE)
    cursor = _open().execute(query if is_whole else f"SELECT {query}", _bound(data))
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row)) for row in cursor]


def execute(query, data=None, verbose=None):
    """Executes any statement and returns `{"keys": [column, ...], "data": [row, ...]}`."""
    cursor = _open().execute(query, _bound(data))
    return {"keys": [column[0] for column in cursor.description or ()], "data": [list(row) for row in cursor]}


def commit(verbose=None):
    """Ends a transaction that was begun with `execute("BEGIN")`. Otherwise there is nothing to commit."""
    if _open().in_transaction:
        _open().execute("COMMIT")


def show_tables(dbname="main"):
    """Returns the statement that made each table, by the table's name."""
    found = _open().execute(f"SELECT name, sql FROM {_quoted(dbname)}.sqlite_master WHERE type = 'table'")
    return dict(found.fetchall())


def table_info(name):
    """Returns what SQLite knows of each column, as dictionaries with `name`, `type` and so on."""
    return select("* FROM pragma_table_info(?)", [name])


def save_var(name, value, verbose=None):
    """Keeps one value from run to run."""
    _open().execute("CREATE TABLE IF NOT EXISTS swvariables (name TEXT PRIMARY KEY, value_blob BLOB, type TEXT)")
    save(["name"], {"name": name, "value_blob": value, "type": _kind(value)}, "swvariables")


def get_var(name, default=None, verbose=None):
    """Returns the value that `save_var` kept under this name, with its type."""
    if "swvariables" not in show_tables():
        return default
    found = _open().execute("SELECT type, value_blob FROM swvariables WHERE name = ?", [name]).fetchone()
    return default if found is None else _restored(*found)


def _open():
    global _connection
    if _connection is None:
        _connection = sqlite3.connect(DATABASE, timeout=60, isolation_level=None)
        # What a run leaves is checked and copied when it has ended, so no commit has to wait for the disk.
        _connection.execute("PRAGMA synchronous = OFF")
        _connection.text_factory = lambda text: text.decode("utf-8", "replace")
    return _connection


@contextlib.contextmanager
def _whole():
    """What is done inside is done whole or not at all, in a transaction of its own or the scraper's."""
    database = _open()
    database.execute("SAVEPOINT save")
    try:
        yield
        database.execute("RELEASE save")
    except BaseException:
        # When the disk is full SQLite itself has rolled back, and there is nothing to go back to.
        if database.in_transaction:
            database.execute("ROLLBACK TO save")
            database.execute("RELEASE save")
        raise


class _Table:
    """A table that grows with its rows. Names of columns differ by more than the case of ASCII letters."""

    def __init__(self, database, name):
        self.database, self.name = database, name
        found = database.execute("SELECT name FROM pragma_table_info(?)", [name])
        self.columns = {_folded(column): column for (column,) in found}
        self.indexed = set()

    def upsert(self, keys, cells):
        for key in keys:
            if cells.get(_folded(key), (key, None))[1] is None:
                raise ValueError(f"the row has no value for {key}, which is one of the unique keys")
        if not cells:
            return
        self._grow(cells)
        names = [self.columns[folded] for folded in cells]
        keys = sorted(self.columns[_folded(key)] for key in keys)
        self._index(tuple(keys))
        values = [_stored(value) for _, value in cells.values()]
        self.database.execute(_upsert(self.name, names, keys), values)

    def _grow(self, cells):
        new = {folded: cell for folded, cell in cells.items() if folded not in self.columns}
        declared = [f"{_quoted(name)} {_declared(value)}".rstrip() for name, value in new.values()]
        if not self.columns:
            self.database.execute(f"CREATE TABLE {_quoted(self.name)} ({', '.join(declared)})")
        else:
            for column in declared:
                self.database.execute(f"ALTER TABLE {_quoted(self.name)} ADD COLUMN {column}")
        self.columns.update({folded: name for folded, (name, _) in new.items()})

    def _index(self, keys):
        if not keys or keys in self.indexed:
            return
        index = f"{self.name} ({', '.join(keys)})"
        columns = ", ".join(map(_quoted, keys))
        self.database.execute(
            f"CREATE UNIQUE INDEX IF NOT EXISTS {_quoted(index)} ON {_quoted(self.name)} ({columns})"
        )
        self.indexed.add(keys)


def _upsert(table, names, keys):
    columns = ", ".join(map(_quoted, names))
    insert = f"INSERT INTO {_quoted(table)} ({columns}) VALUES ({', '.join('?' * len(names))})"
    if not keys:
        return insert
    changes = ", ".join(f"{_quoted(name)} = excluded.{_quoted(name)}" for name in names if name not in keys)
    action = f"UPDATE SET {changes}" if changes else "NOTHING"
    return f"{insert} ON CONFLICT ({', '.join(map(_quoted, keys))}) DO {action}"


def _cells(row):
    """The row by folded names; of two names that are one column the last wins."""
    cells = {_folded(str(name)): (str(name), value) for name, value in row.items()}
    if "" in cells:
        raise ValueError("a column has no name")
    return cells


def _folded(name):
    return "".join(letter.lower() if "A" <= letter <= "Z" else letter for letter in name)


def _quoted(name):
    return '"' + name.replace('"', '""') + '"'


def _bound(data):
    if data is None:
        return []
    if isinstance(data, Mapping):
        return {name: _stored(value) for name, value in data.items()}
    values = data if isinstance(data, (list, tuple)) else [data]
    return [_stored(value) for value in values]


_KINDS = [
    (type(None), "null"),
    (bool, "boolean"),
    (int, "integer"),
    (float, "real"),
    (datetime.datetime, "datetime"),
    (datetime.date, "date"),
    ((bytes, bytearray, memoryview), "blob"),
    ((Mapping, list, tuple, set), "json"),
]


def _kind(value):
    return next((kind for types, kind in _KINDS if isinstance(value, types)), "text")


def _declared(value):
    """The type of a column that first holds `value`. One that holds nothing yet keeps whatever comes as it is."""
    if _kind(value) == "integer" and not _fits(value):
        return "text"
    return {"null": "", "json": "text"}.get(_kind(value), _kind(value))


def _fits(integer):
    return -(2**63) <= integer < 2**63


def _stored(value):
    """What SQLite gets: dates as ISO 8601, nested values as JSON, integers that do not fit as text."""
    kind = _kind(value)
    if kind == "integer":
        return int(value) if _fits(value) else str(value)
    if kind in ("date", "datetime"):
        return value.isoformat()
    if kind == "json":
        plain = sorted(value, key=str) if isinstance(value, set) else value
        return json.dumps(plain, ensure_ascii=False, separators=(",", ":"), default=str)
    if kind == "text":
        return str(value).encode("utf-8", "replace").decode("utf-8")
    return value


def _restored(kind, value):
    """The value of a variable. Other libraries name types in their own language's words."""
    kind = str(kind).lower()
    if isinstance(value, bytes) and kind != "blob":
        value = value.decode("utf-8", "replace")
    if kind in ("integer", "int", "long", "fixnum", "bignum"):
        return int(value)
    if kind in ("real", "float", "double"):
        return float(value)
    if kind in ("boolean", "bool", "trueclass", "falseclass"):
        return str(value).lower() in ("1", "true")
    if kind == "json":
        return json.loads(value)
    if kind == "date":
        return datetime.date.fromisoformat(value)
    if kind == "datetime":
        return datetime.datetime.fromisoformat(value)
    return value
