"""Executes SQL for Node versions without SQLite: a question per line of standard input, an answer per line of output."""

import base64
import json
import sqlite3
import sys

SAFE = 2**53


def main(file):
    database = sqlite3.connect(file, timeout=60, isolation_level=None)
    database.text_factory = lambda text: text.decode("utf-8", "replace")
    for line in sys.stdin:
        try:
            answer = answered(database, json.loads(line, object_hook=read))
        except (sqlite3.Error, sqlite3.Warning, OverflowError, ValueError) as error:
            answer = {"error": str(error)}
        print(json.dumps(answer, default=blob), flush=True)


def answered(database, question):
    if "script" in question:
        for statement in statements(question["script"]):
            database.execute(statement)
        return {}
    params = question["params"]
    if isinstance(params, dict):
        params = {name.lstrip(":@$"): value for name, value in params.items()}
    cursor = database.execute(question["sql"], params)
    rows = [[written(value) for value in row] for row in cursor]
    changes, last = database.execute("SELECT changes(), last_insert_rowid()").fetchone()
    columns = [column[0] for column in cursor.description or ()]
    return {"columns": columns, "rows": rows, "changes": changes, "lastID": written(last)}


def statements(script):
    """Python's executescript would commit an open transaction."""
    statement = ""
    for part in script.split(";"):
        statement += part + ";"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def read(value):
    """What JSON cannot say arrives as {integer}, {real} or {blob}."""
    if value.keys() == {"integer"}:
        return int(value["integer"])
    if value.keys() == {"real"}:
        return float(value["real"].replace("Infinity", "inf"))
    if value.keys() == {"blob"}:
        return base64.b64decode(value["blob"])
    return value


def written(value):
    if isinstance(value, int) and not -SAFE < value < SAFE:
        return {"integer": str(value)}
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        return {"real": "Infinity" if value > 0 else "-Infinity"}
    return value


def blob(value):
    return {"blob": base64.b64encode(value).decode()}


main(sys.argv[1])
