// SQLite for Node: its own module where it has one (22.13 and newer), else a small Python program that is asked through
// pipes. Both answer alike: execute(sql, params) gives { columns, rows, changes, lastID }.
"use strict";

const path = require("node:path");
const { spawn } = require("node:child_process");

function open(file) {
  const builtIn = builtInModule();
  return builtIn ? new BuiltIn(builtIn, file) : new Helper(file);
}

function builtInModule() {
  try {
    return require("node:sqlite");
  } catch {
    return null;
  }
}

class BuiltIn {
  constructor(sqlite, file) {
    this.database = new sqlite.DatabaseSync(file);
    this.database.exec("PRAGMA busy_timeout = 60000");
  }

  async execute(sql, params = []) {
    const statement = this.database.prepare(sql);
    statement.setReadBigInts(true);
    const rows = Array.isArray(params) ? statement.all(...params) : statement.all(params);
    const last = this.database.prepare("SELECT changes() AS changes, last_insert_rowid() AS lastID").get();
    const columns = rows.length ? Object.keys(rows[0]) : (statement.columns?.() ?? []).map(({ name }) => name);
    return { columns, rows: rows.map(usual), ...last };
  }

  async script(sql) {
    this.database.exec(sql);
  }

  async close() {
    this.database.close();
  }
}

class Helper {
  constructor(file) {
    this.waiting = [];
    this.child = spawn("python3", [path.join(__dirname, "engine.py"), file], { stdio: ["pipe", "pipe", "inherit"] });
    this.child.on("error", () => this.fail("this Node has no SQLite: install Node 22.13 or newer, or the package python3"));
    this.child.on("exit", () => this.fail("the program that holds data.sqlite has ended"));
    this.child.stdin.on("error", () => {});
    require("node:readline").createInterface({ input: this.child.stdout }).on("line", (line) => this.answered(line));
    this.hold(false);
  }

  async execute(sql, params = []) {
    const { columns, rows, ...last } = await this.ask({ sql, params });
    const named = rows.map((row) => Object.fromEntries(columns.map((name, index) => [name, row[index]])));
    return { columns, rows: named.map(usual), ...last };
  }

  script(script) {
    return this.ask({ script });
  }

  async close() {
    this.child.stdin.end();
  }

  ask(question) {
    return new Promise((resolve, reject) => {
      if (this.failure) return reject(new Error(this.failure));
      this.waiting.push({ resolve, reject });
      this.hold(true);
      this.child.stdin.write(`${JSON.stringify(question, written)}\n`);
    });
  }

  answered(line) {
    const { resolve, reject } = this.waiting.shift();
    const answer = JSON.parse(line, read);
    if (!this.waiting.length) this.hold(false);
    if (answer.error === undefined) resolve(answer);
    else reject(Object.assign(new Error(answer.error), { code: "SQLITE_ERROR" }));
  }

  fail(reason) {
    this.failure ??= reason;
    for (const { reject } of this.waiting.splice(0)) reject(new Error(this.failure));
  }

  // Node ends when nothing holds it; only a question without an answer should.
  hold(isHeld) {
    for (const part of [this.child, this.child.stdin, this.child.stdout]) isHeld ? part.ref() : part.unref();
  }
}

// What JSON cannot say travels as { integer }, { real } or { blob }.
function written(key, value) {
  const original = this[key];
  if (typeof original === "bigint") return { integer: String(original) };
  if (typeof original === "number" && !Number.isFinite(original)) return { real: String(original) };
  if (ArrayBuffer.isView(original)) {
    const bytes = Buffer.from(original.buffer, original.byteOffset, original.byteLength);
    return { blob: bytes.toString("base64") };
  }
  return value;
}

function read(_, value) {
  if (value?.integer !== undefined) return BigInt(value.integer);
  if (value?.real !== undefined) return Number(value.real);
  if (value?.blob !== undefined) return Buffer.from(value.blob, "base64");
  return value;
}

// Integers are numbers wherever a number can hold them, and bytes are a Buffer.
function usual(row) {
  for (const [name, value] of Object.entries(row)) {
    if (typeof value === "bigint" && Number.isSafeInteger(Number(value))) row[name] = Number(value);
    if (ArrayBuffer.isView(value)) row[name] = Buffer.from(value);
  }
  return row;
}

module.exports = { open };
