// Haul's scraperwiki for Node: fetch pages with scrape, keep rows in data.sqlite. Every function returns a promise.
//
// Tables and columns appear as they are needed. Every call is a transaction of its own, unless the scraper began one with
// execute("BEGIN"). Calls take effect in the order in which they are made, awaited or not.
"use strict";

const engine = require("./engine.js");
const { Table } = require("./table.js");
const { kind, restored, stored } = require("./values.js");

const AGENT = "Mozilla/5.0 (compatible; Haul)";
const TIMEOUT_MS = 60_000;

// Resolves with what is at the address: text as a string, everything else (PDF, images) as a Buffer. With params (an object)
// it is a POST of a form. A status of 400 or more rejects.
async function scrape(url, params, agent = AGENT) {
  const answer = await fetch(url, {
    headers: { "User-Agent": agent },
    signal: AbortSignal.timeout(TIMEOUT_MS),
    ...(params && { method: "POST", body: new URLSearchParams(params) }),
  });
  if (!answer.ok) throw new Error(`${url} answered ${answer.status} ${answer.statusText}`);
  const content = Buffer.from(await answer.arrayBuffer());
  const type = answer.headers.get("content-type") ?? "";
  const charset = /charset\s*=\s*"?([\w-]+)/i.exec(type)?.[1] ?? metaCharset(content);
  const isText = charset || /^text\/|[/+](json|xml)\b|\/javascript\b/i.test(type);
  return isText ? decoded(content, charset ?? "utf-8") : content;
}

function metaCharset(content) {
  return /<meta[^>]+charset\s*=\s*["']?([\w-]+)/i.exec(content.toString("latin1", 0, 4096))?.[1];
}

function decoded(content, charset) {
  try {
    const decoder = new TextDecoder(charset);
    const text = decoder.decode(content);
    return decoder.encoding === "windows-1252" ? text.replace(/[\x80-\x9f]/g, windows1252) : text;
  } catch {
    return content.toString("utf8");
  }
}

// Some versions of Node take Windows 1252 for Latin 1.
function windows1252(letter) {
  return "€\x81‚ƒ„…†‡ˆ‰Š‹Œ\x8dŽ\x8f\x90‘’“”•–—˜™š›œ\x9džŸ"[letter.charCodeAt(0) - 0x80];
}

let database;
let last = Promise.resolve();

// Runs one call after those before it.
function inTurn(call) {
  const turn = last.then(() => call((database ??= opened())));
  last = turn.catch(() => {});
  return turn;
}

function opened() {
  const connection = engine.open("data.sqlite");
  // What a run leaves is checked and copied when it has ended, so no commit has to wait for the disk. A failure to open is
  // told by the statement that comes next.
  connection.script("PRAGMA synchronous = OFF").catch(() => {});
  return connection;
}

// Saves one row (an object) or many (an array of objects) in one transaction. A row whose unique keys are those of a stored
// row changes that row in place; columns that it does not name stay.
function save(uniqueKeys, data, table = "data") {
  const rows = Array.isArray(data) ? data : [data];
  return inTurn((connection) => saveRows(connection, [].concat(uniqueKeys).map(String), rows, table));
}

// All rows or none, in a transaction of their own or the scraper's.
async function saveRows(connection, keys, rows, name) {
  const table = await Table.load(connection, name);
  await connection.execute("SAVEPOINT save");
  try {
    for (const row of rows) await table.upsert(keys, row);
    await connection.execute("RELEASE save");
  } catch (error) {
    // When the disk is full SQLite itself has rolled back, and would say so in place of the cause.
    await connection.script("ROLLBACK TO save; RELEASE save").catch(() => {});
    throw error;
  }
}

// Resolves with the rows, as objects, of `SELECT query`; a whole SELECT or WITH statement works too.
async function select(query, data) {
  const whole = /^\s*(select|with)\b/i.test(query) ? query : `SELECT ${query}`;
  return (await run(whole, data)).rows;
}

// Executes any statement and resolves with { keys: [column, ...], data: [row, ...] }.
async function execute(query, data) {
  const { columns, rows } = await run(query, data);
  return { keys: columns, data: rows.map((row) => columns.map((name) => row[name])) };
}

function run(query, data) {
  return inTurn((connection) => connection.execute(query, bound(data)));
}

function bound(data) {
  if (data === undefined || data === null) return [];
  if (Array.isArray(data)) return data.map(stored);
  if (kind(data) !== "json") return [stored(data)];
  return Object.fromEntries(Object.entries(data).map(([name, value]) => [name, stored(value)]));
}

// Keeps one value from run to run.
async function saveVar(name, value) {
  await run("CREATE TABLE IF NOT EXISTS swvariables (name TEXT PRIMARY KEY, value_blob BLOB, type TEXT)");
  await save(["name"], { name, value_blob: value, type: kind(value) }, "swvariables");
}

// Resolves with the value that saveVar kept under this name, with its type.
async function getVar(name, otherwise = null) {
  if (!("swvariables" in (await showTables()))) return otherwise;
  const [found] = await select("type, value_blob FROM swvariables WHERE name = ?", [name]);
  return found ? restored(found.type, found.value_blob) : otherwise;
}

// Resolves with the statement that made each table, by the table's name.
async function showTables() {
  const tables = await select("name, sql FROM sqlite_master WHERE type = 'table'");
  return Object.fromEntries(tables.map(({ name, sql }) => [name, sql]));
}

// Resolves with what SQLite knows of each column: name, type and so on.
function tableInfo(name) {
  return select("* FROM pragma_table_info(?)", [name]);
}

module.exports = { scrape, save, select, execute, saveVar, getVar, showTables, tableInfo };
// The names that the other languages have.
Object.assign(module.exports, {
  save_sqlite: save,
  sqliteexecute: execute,
  save_var: saveVar,
  get_var: getVar,
  show_tables: showTables,
  table_info: tableInfo,
});
