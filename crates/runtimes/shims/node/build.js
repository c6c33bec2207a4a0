// Installs what package.json names into /build/node_modules.
"use strict";

const fs = require("node:fs");
const path = require("node:path");
const { spawnSync } = require("node:child_process");

// Haul's own modules, which scrapers get beside what they name.
const OWN = ["scraperwiki", "sqlite3"];
// npm installs beside package.json, and scripts of packages may look at the code.
const COPY = "/build/code";
const NOT_COPIED = ["/app/.git", "/app/data.sqlite", "/app/node_modules"];

function main() {
  fs.cpSync("/app", COPY, { recursive: true, filter: (name) => !NOT_COPIED.includes(name) });
  process.chdir(COPY);
  const isLocked = fs.existsSync("package-lock.json") || fs.existsSync("npm-shrinkwrap.json");
  let status = npm(isLocked ? "ci" : "install");
  if (status !== 0 && withoutSqlite3()) {
    console.error("npm could not install sqlite3, which has to be compiled: once more without it, Haul's own takes its place");
    status = npm("install");
  }
  if (status !== 0) process.exit(status);

  fs.mkdirSync("node_modules", { recursive: true });
  fs.renameSync("node_modules", "/build/node_modules");
  process.chdir("/build");
  for (const passing of [COPY, process.env.npm_config_cache]) fs.rmSync(passing, { recursive: true, force: true });
  // Modules (`import`) look nowhere else.
  for (const name of OWN.filter((name) => !fs.existsSync(path.join("/build/node_modules", name)))) {
    fs.cpSync(path.join(__dirname, name), path.join("/build/node_modules", name), { recursive: true });
  }
}

function npm(command) {
  const npm = spawnSync("npm", [command, "--omit=dev", "--install-links"], { stdio: "inherit" });
  if (npm.error) {
    console.error("npm is not installed on this machine: ask its operator for the package npm");
    process.exit(1);
  }
  return npm.status ?? 1;
}

// Takes sqlite3 out of package.json, if it is there.
function withoutSqlite3() {
  const content = JSON.parse(fs.readFileSync("package.json", "utf8"));
  const isThere = content.dependencies?.sqlite3 !== undefined;
  delete content.dependencies?.sqlite3;
  fs.writeFileSync("package.json", JSON.stringify(content));
  return isThere;
}

main();
