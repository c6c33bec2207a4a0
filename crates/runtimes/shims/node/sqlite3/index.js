// Stands in for the npm module `sqlite3` where a scraper names no dependencies: the calls that scrapers use, one after
// another in the order in which they are made.
"use strict";

const { EventEmitter } = require("node:events");
const engine = require("../scraperwiki/engine.js");

class Database extends EventEmitter {
  constructor(file, ...rest) {
    super();
    this.open = true;
    this.engine = engine.open(file);
    const done = rest.find((value) => typeof value === "function");
    this.last = Promise.resolve();
    this.queue(() => this.engine.execute("SELECT 1"), (error) => {
      if (!error) this.emit("open");
      this.tell(done, this, error);
    });
  }

  run(sql, ...rest) {
    return this.ask(sql, rest, ({ changes, lastID }) => [{ changes: Number(changes), lastID: Number(lastID) }]);
  }

  get(sql, ...rest) {
    return this.ask(sql, rest, ({ rows }) => [{}, rows[0]]);
  }

  all(sql, ...rest) {
    return this.ask(sql, rest, ({ rows }) => [{}, rows]);
  }

  each(sql, ...rest) {
    const functions = rest.filter((value) => typeof value === "function");
    const [eachRow, complete] = functions;
    const params = rest.filter((value) => typeof value !== "function");
    return this.all(sql, ...params, (error, rows = []) => {
      if (error) return this.tell(complete ?? eachRow, {}, error);
      for (const row of rows) eachRow?.call({}, null, row);
      complete?.call({}, null, rows.length);
    });
  }

  exec(sql, done) {
    return this.queue(() => this.engine.script(sql), (error) => this.tell(done, {}, error));
  }

  prepare(sql, ...rest) {
    const done = typeof rest.at(-1) === "function" ? rest.pop() : undefined;
    if (done) this.queue(async () => {}, () => done.call({}, null));
    return new Statement(this, sql, rest);
  }

  // Everything is in order already.
  serialize(body) {
    body?.();
    return this;
  }

  parallelize(body) {
    body?.();
    return this;
  }

  configure() {
    return this;
  }

  close(done) {
    return this.queue(() => this.engine.close(), (error) => {
      this.open = false;
      this.tell(done, {}, error);
      if (!error) this.emit("close");
    });
  }

  ask(sql, rest, told) {
    const done = typeof rest.at(-1) === "function" ? rest.pop() : undefined;
    const params = bound(rest);
    return this.queue(
      () => this.engine.execute(sql, params),
      (error, result) => {
        const [self, ...values] = error ? [{}] : told(result);
        this.tell(done, self, error, ...values);
      },
    );
  }

  // Runs one call after those before it. What the scraper's own function throws is not a failure of the call.
  queue(call, then) {
    const turn = this.last.then(call);
    this.last = turn.catch(() => {});
    turn.then((result) => setImmediate(then, null, result), (error) => setImmediate(then, error));
    return this;
  }

  tell(done, self, error, ...values) {
    if (done) done.call(self, error, ...values);
    else if (error) this.emit("error", error);
  }
}

class Statement {
  constructor(database, sql, rest) {
    this.database = database;
    this.sql = sql;
    this.values = rest;
    for (const name of ["run", "get", "all", "each"]) {
      this[name] = (...more) => {
        const params = more.some((value) => typeof value !== "function") ? more : [...this.values, ...more];
        this.database[name](this.sql, ...params);
        return this;
      };
    }
  }

  bind(...values) {
    const done = typeof values.at(-1) === "function" ? values.pop() : undefined;
    this.values = values;
    done?.call(this, null);
    return this;
  }

  reset(done) {
    done?.call(this, null);
    return this;
  }

  finalize(done) {
    if (done) this.database.queue(async () => {}, () => done.call(this, null));
    return this.database;
  }
}

function bound(rest) {
  const [first] = rest;
  if (Array.isArray(first)) return first.map(stored);
  if (rest.length !== 1 || first === null || typeof first !== "object" || isSingle(first)) return rest.map(stored);
  return Object.fromEntries(Object.entries(first).map(([name, value]) => [name, stored(value)]));
}

function isSingle(value) {
  return value instanceof Date || ArrayBuffer.isView(value);
}

// As the npm module has it: dates are milliseconds, what is not known is a string.
function stored(value) {
  if (value === undefined || value === null) return null;
  if (typeof value === "boolean") return Number(value);
  if (Number.isSafeInteger(value)) return BigInt(value);
  if (value instanceof Date) return value.getTime();
  if (["number", "bigint", "string"].includes(typeof value) || ArrayBuffer.isView(value)) return value;
  return String(value);
}

const sqlite3 = { Database, Statement, OPEN_READONLY: 1, OPEN_READWRITE: 2, OPEN_CREATE: 4 };
sqlite3.cached = { Database: (...rest) => new Database(...rest) };
sqlite3.verbose = () => sqlite3;

module.exports = sqlite3;
