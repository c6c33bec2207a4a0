import dep from "dep";
import scraperwiki from "scraperwiki";

await scraperwiki.save(["id"], { id: 1 });
console.log(`${dep}, and scraperwiki`);
