// Shows the log of a run as it is written: the list in <div data-log="EVENTS"> gets a line for each event. Without it the page shows the last lines.
"use strict";
const log = document.querySelector("[data-log]");
if (log && window.EventSource) {
  // Lines on the page at most, and when somebody reads further up, who should not lose the place.
  const most = 5000;
  const mostAbove = 20000;
  const list = log.querySelector("ol");
  const events = new EventSource(log.dataset.log);
  const say = (text) => {
    const place = document.querySelector("[data-log-state]");
    if (place && place.textContent !== text) place.textContent = text;
  };
  // The log is laid out from its end, where its position is 0.
  const followsEnd = () => log.scrollTop > -8;
  const line = ({ number, at, stream, text }) => {
    const line = document.createElement("li");
    line.value = number;
    line.className = stream;
    line.title = at;
    line.textContent = text;
    return line;
  };
  let waiting = [];
  // All lines that came since the last picture at once.
  const show = () => {
    const follow = followsEnd();
    list.append(...waiting.map(line));
    waiting = [];
    let excess = list.childElementCount - (follow ? most : mostAbove);
    for (; excess > 0; excess--) list.firstElementChild.remove();
    if (follow) log.scrollTop = 0;
  };
  // What Haul says, it says when a run goes on to something else: then the word for its state is another.
  let asked;
  const renew = () => {
    clearTimeout(asked);
    asked = setTimeout(async () => {
      const answer = await fetch(location.href).catch(() => null);
      if (!answer || !answer.ok) return;
      const now = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("[data-run-state]");
      const before = document.querySelector("[data-run-state]");
      if (now && before) before.replaceWith(document.adoptNode(now));
    }, 500);
  };
  events.addEventListener("line", (event) => {
    const line = JSON.parse(event.data);
    if (waiting.push(line) === 1) requestAnimationFrame(show);
    // Nobody looks at this page, or the lines come too fast to be seen.
    if (waiting.length > 2 * most) waiting = waiting.slice(-most);
    if (line.stream === "internalout") renew();
    say("");
  });
  events.addEventListener("open", () => { if (list.childElementCount) say(""); });
  events.addEventListener("error", () => {
    const again = events.readyState === EventSource.CONNECTING;
    say(again ? "The connection broke; trying again." : "The connection broke; reload the page.");
  });
  // Once a run is over, its page has more to say; who reads further up is left alone.
  events.addEventListener("end", (event) => {
    events.close();
    const { ending } = JSON.parse(event.data);
    if (followsEnd()) return location.reload();
    say(`The run is over: ${ending ? ending.outcome.replaceAll("_", " ") : "reload the page"}.`);
  });
}
