const dep = require("dep");
const sqlite3 = require("sqlite3").verbose();

const database = new sqlite3.Database("data.sqlite");
database.get("SELECT ? || ', and scraperwiki' AS text", [dep], (error, row) => console.log(error ?? row.text));
