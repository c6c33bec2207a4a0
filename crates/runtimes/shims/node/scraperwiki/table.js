// A table that grows with its rows. Names of columns differ by more than the case of ASCII letters.
"use strict";

const { declared, stored } = require("./values.js");

class Table {
  static async load(connection, name) {
    const { rows } = await connection.execute("SELECT name FROM pragma_table_info(?)", [name]);
    return new Table(connection, name, new Map(rows.map((column) => [folded(column.name), column.name])));
  }

  constructor(connection, name, columns) {
    this.connection = connection;
    this.name = name;
    this.columns = columns;
    this.indexed = new Set();
  }

  async upsert(uniqueKeys, row) {
    const cells = cellsOf(row);
    const lacking = uniqueKeys.find((key) => (cells.get(folded(key))?.[1] ?? null) === null);
    if (lacking !== undefined) throw new Error(`the row has no value for ${lacking}, which is one of the unique keys`);
    if (!cells.size) return;
    await this.grow(cells);
    const names = [...cells.keys()].map((name) => this.columns.get(name));
    const keys = uniqueKeys.map((key) => this.columns.get(folded(key))).sort();
    await this.index(keys);
    const values = [...cells.values()].map(([, value]) => stored(value));
    await this.connection.execute(this.statement(names, keys), values);
  }

  async grow(cells) {
    const added = [...cells].filter(([name]) => !this.columns.has(name));
    const columns = added.map(([, [name, value]]) => `${quoted(name)} ${declared(value)}`.trimEnd());
    if (!this.columns.size) {
      await this.connection.execute(`CREATE TABLE ${quoted(this.name)} (${columns.join(", ")})`);
    } else {
      for (const column of columns) await this.connection.execute(`ALTER TABLE ${quoted(this.name)} ADD COLUMN ${column}`);
    }
    for (const [key, [name]] of added) this.columns.set(key, name);
  }

  async index(keys) {
    const name = `${this.name} (${keys.join(", ")})`;
    if (!keys.length || this.indexed.has(name)) return;
    const on = `${quoted(this.name)} (${list(keys)})`;
    await this.connection.execute(`CREATE UNIQUE INDEX IF NOT EXISTS ${quoted(name)} ON ${on}`);
    this.indexed.add(name);
  }

  statement(names, keys) {
    const places = names.map(() => "?").join(", ");
    const insert = `INSERT INTO ${quoted(this.name)} (${list(names)}) VALUES (${places})`;
    if (!keys.length) return insert;
    const others = names.filter((name) => !keys.includes(name)).map(quoted);
    const changes = others.map((name) => `${name} = excluded.${name}`).join(", ");
    return `${insert} ON CONFLICT (${list(keys)}) DO ${changes ? `UPDATE SET ${changes}` : "NOTHING"}`;
  }
}

// The row by folded names; of two names that are one column the last wins.
function cellsOf(row) {
  const cells = new Map(Object.entries(row).map(([name, value]) => [folded(name), [name, value]]));
  if (cells.has("")) throw new Error("a column has no name");
  return cells;
}

function list(names) {
  return names.map(quoted).join(", ");
}

function quoted(name) {
  return `"${name.replaceAll('"', '""')}"`;
}

function folded(name) {
  return name.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}

module.exports = { Table };
