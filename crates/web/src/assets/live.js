// Keeps the figures of a crawl page current. Without it the page reloads itself.
"use strict";
const page = document.querySelector("[data-events]");
if (page && window.EventSource) {
  const number = new Intl.NumberFormat("en-US");
  const events = new EventSource(page.dataset.events);
  const rates = [];
  const set = (name, text) => {
    for (const place of page.querySelectorAll(`[data-live="${name}"]`)) place.textContent = text;
  };
  const size = (bytes) => {
    const units = ["B", "kB", "MB", "GB", "TB"];
    let unit = 0;
    for (; bytes >= 999.5 && unit < 4; unit++) bytes /= 1000;
    return `${bytes.toFixed(unit && bytes < 9.95 ? 1 : 0)} ${units[unit]}`;
  };
  const draw = (rate) => {
    rates.push(rate);
    if (rates.length > 120) rates.shift();
    const line = page.querySelector("[data-spark]");
    if (!line || rates.length < 2) return;
    const top = Math.max(...rates, 0.1);
    const points = rates.map((value, at) =>
      `${(at * 240 / (rates.length - 1)).toFixed(1)},${(38 - value * 36 / top).toFixed(1)}`);
    line.setAttribute("points", points.join(" "));
    line.parentNode.removeAttribute("hidden");
  };
  events.addEventListener("progress", (event) => {
    const now = JSON.parse(event.data);
    const totals = now.totals;
    for (const name of Object.keys(totals)) set(name, number.format(totals[name]));
    const done = totals.seen - totals.open - totals.failed;
    set("done", number.format(done));
    set("status", now.status);
    set("host", now.current_host ? `at ${now.current_host}` : "");
    set("rate", now.pages_per_second.toFixed(1));
    set("bytes", size(now.fetched_bytes));
    const bar = page.querySelector("progress");
    if (bar) { bar.max = Math.max(totals.seen, 1); bar.value = done; }
    draw(now.pages_per_second);
  });
  // Once a crawl is over, its page has more to say than the events had.
  events.addEventListener("end", () => { events.close(); location.reload(); });
}
