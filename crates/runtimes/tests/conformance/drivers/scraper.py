"""Takes the steps of a case through Haul's scraperwiki and prints what each gave."""

import base64
import datetime
import json
import os

import scraperwiki
from scraperwiki import sql

CALLS = {
    "scrape": lambda path: scraperwiki.scrape(os.environ["SITE"] + path),
    "save": sql.save,
    "select": sql.select,
    "execute": lambda *arguments: sql.execute(*arguments) and None,
    "save_var": sql.save_var,
    "get_var": sql.get_var,
    "show_tables": lambda: sorted(sql.show_tables()),
}


def read(value):
    if "$int" in value:
        return int(value["$int"])
    if "$bytes" in value:
        return base64.b64decode(value["$bytes"])
    if "$datetime" in value:
        return datetime.datetime.fromisoformat(value["$datetime"])
    if "$date" in value:
        return datetime.date.fromisoformat(value["$date"])
    return value


def written(value):
    if isinstance(value, dict):
        return {name: written(part) for name, part in value.items()}
    if isinstance(value, list):
        return [written(part) for part in value]
    if isinstance(value, int) and abs(value) > 2**53:
        return {"$int": str(value)}
    if isinstance(value, bytes):
        return {"$bytes": base64.b64encode(value).decode()}
    if isinstance(value, datetime.datetime):
        return {"$datetime": value.isoformat()}
    return value


assert scraperwiki.sqlite is scraperwiki.sql
with open(os.environ["CASES"], encoding="utf-8") as file:
    cases = json.load(file, object_hook=read)
for step in next(case for case in cases if case["name"] == os.environ["CASE"])["steps"]:
    call, arguments = next(iter(step.items()))
    try:
        print(json.dumps({"result": written(CALLS[call](*arguments))}))
    except Exception as error:
        print(json.dumps({"error": str(error)}))
