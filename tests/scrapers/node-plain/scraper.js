// Planning applications, with http and sqlite3 and callbacks, as many scrapers are written.
var http = require("http");
var sqlite3 = require("sqlite3").verbose();

var db = new sqlite3.Database("data.sqlite");
db.serialize(function () {
  db.run(
    "CREATE TABLE IF NOT EXISTS data (id TEXT PRIMARY KEY, address TEXT, received DATE, description TEXT, cost REAL, decided BOOLEAN)",
    function () {
      readIndex("/");
    },
  );
});

function fetchPage(path, done) {
  console.log("reading " + process.env.MORPH_SITE + path);
  http.get(process.env.MORPH_SITE + path, function (answer) {
    var page = "";
    answer.setEncoding("utf8");
    answer.on("data", function (part) {
      page += part;
    });
    answer.on("end", function () {
      done(page);
    });
  });
}

function text(markup) {
  return markup.replace(/<[^>]+>/g, "").replace(/&amp;/g, "&").replace(/&#39;/g, "'");
}

function readIndex(path) {
  fetchPage(path, function (page) {
    var rows = page.match(/<tr><td>.*?<\/tr>/g);
    var left = rows.length;
    rows.forEach(function (row) {
      readApplication(row, function () {
        left -= 1;
        if (left > 0) return;
        var next = /rel="next" href="([^"]+)"/.exec(page);
        if (next) readIndex(next[1]);
        else finish();
      });
    });
  });
}

function readApplication(row, done) {
  var parts = /<a href="([^"]+)">([^<]+)<\/a><\/td><td>(\d+)\/(\d+)\/(\d+)<\/td><td>(.*?)<\/td>/.exec(row);
  fetchPage(parts[1], function (page) {
    var detail = function (name) {
      return new RegExp("<th>" + name + "</th><td>(.*?)</td>").exec(page)[1];
    };
    var received = parts[5] + "-" + parts[4].padStart(2, "0") + "-" + parts[3].padStart(2, "0");
    var cost = parseFloat(detail("Cost").replace(/[$,]/g, ""));
    var statement = db.prepare("INSERT OR REPLACE INTO data VALUES (?, ?, ?, ?, ?, ?)");
    statement.run(parts[2], text(parts[6]), received, text(detail("Description")), cost, detail("Decided") === "yes");
    statement.finalize(done);
  });
}

function finish() {
  db.each(
    "SELECT id, address FROM data ORDER BY id",
    function (error, row) {
      console.log(row.id + ": " + row.address);
    },
    function (error, count) {
      console.log("saved " + count + " applications");
      db.close();
    },
  );
}
