// Planning applications, with scraperwiki.
const scraperwiki = require("scraperwiki");

const ENTITIES = { amp: "&", lt: "<", gt: ">", quot: '"', "#39": "'" };

async function fetchPage(url) {
  console.log(`reading ${url}`);
  return scraperwiki.scrape(url);
}

function text(markup) {
  return markup.replace(/<[^>]+>/g, "").replace(/&(#?\w+);/g, (whole, name) => ENTITIES[name] ?? whole);
}

async function application(base, row) {
  const [reference, received, address] = [...row.matchAll(/<td>(.*?)<\/td>/g)].map(([, cell]) => text(cell));
  const [, link] = /href="([^"]+)"/.exec(row);
  const page = await fetchPage(new URL(link, base));
  const details = Object.fromEntries([...page.matchAll(/<th>(\w+)<\/th><td>(.*?)<\/td>/g)].map(([, ...pair]) => pair));
  const [day, month, year] = received.split("/");
  return {
    id: reference,
    address,
    received: `${year}-${month.padStart(2, "0")}-${day.padStart(2, "0")}`,
    description: text(details.Description),
    cost: Number(details.Cost.replace(/[$,]/g, "")),
    decided: details.Decided === "yes",
  };
}

async function main() {
  let count = 0;
  let url = new URL("/", process.env.MORPH_SITE);
  while (url) {
    const page = await fetchPage(url);
    for (const [row] of page.matchAll(/<tr><td>.*?<\/tr>/g)) {
      await scraperwiki.save(["id"], await application(url, row));
      count += 1;
    }
    const next = /rel="next" href="([^"]+)"/.exec(page);
    url = next && new URL(next[1], url);
  }
  console.log(`saved ${count} applications`);
}

main();
