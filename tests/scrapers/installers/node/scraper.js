const dep = require("dep");
const scraperwiki = require("scraperwiki");

scraperwiki.save(["id"], { id: 1 }).then(() => console.log(`${dep}, and scraperwiki`));
