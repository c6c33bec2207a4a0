// Takes the steps of a case through Haul's scraperwiki and prints what each gave.
"use strict";

const fs = require("node:fs");
const scraperwiki = require("scraperwiki");

const CALLS = {
  scrape: (path) => scraperwiki.scrape(process.env.SITE + path),
  save: scraperwiki.save,
  select: scraperwiki.select,
  execute: async (...given) => void (await scraperwiki.execute(...given)),
  save_var: scraperwiki.save_var,
  get_var: scraperwiki.get_var,
  show_tables: async () => Object.keys(await scraperwiki.show_tables()).sort(),
};

function read(_, value) {
  if (value?.$int !== undefined) return BigInt(value.$int);
  if (value?.$bytes !== undefined) return Buffer.from(value.$bytes, "base64");
  if (value?.$datetime !== undefined) return new Date(value.$datetime);
  return value;
}

function written(value) {
  if (typeof value === "bigint") return { $int: String(value) };
  if (ArrayBuffer.isView(value)) return { $bytes: Buffer.from(value).toString("base64") };
  if (value instanceof Date) return { $datetime: value.toISOString().replace(".000Z", "+00:00") };
  if (Array.isArray(value)) return value.map(written);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, written(part)]));
}

async function main() {
  const cases = JSON.parse(fs.readFileSync(process.env.CASES, "utf8"), read);
  for (const step of cases.find(({ name }) => name === process.env.CASE).steps) {
    const [call, given] = Object.entries(step)[0];
    const line = await CALLS[call](...given).then(
      (result) => ({ result: written(result) ?? null }),
      (error) => ({ error: error.message }),
    );
    console.log(JSON.stringify(line));
  }
}

main();
