// The recent events of a breaker: state changes and rejections, newest first.

import { clock, element, icon, stateLabel } from "./format.js";

/** The number of events that are shown at first. */
const SHORT = 8;

export class EventList {
  #list = element("ol", { class: "events" });
  #more = element("button", { type: "button", class: "link" });
  #all = false;
  #drawn = "";
  #recent = [];
  node = element("div", {}, this.#list, this.#more);

  constructor() {
    this.#more.addEventListener("click", () => {
      this.#all = !this.#all;
      this.update(this.#recent);
    });
  }

  update(recent) {
    this.#recent = recent;
    const events = mergeRejections(recent).toReversed();
    const drawn = `${this.#all} ${events.length} ${JSON.stringify(events[0] ?? "")}`;
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    const rows = events.slice(0, this.#all ? events.length : SHORT).map(row);
    this.#list.replaceChildren(...(rows.length ? rows : [element("li", {}, "None since the start.")]));
    this.#more.hidden = events.length <= SHORT;
    this.#more.textContent = this.#all ? "Show fewer" : `Show all ${events.length}`;
  }
}

/** Keeps only the last of consecutive rejections with the same reason. */
function mergeRejections(recent) {
  const isSame = (event, next) => next && !event.to && !next.to && event.reason === next.reason;
  return recent.filter((event, index) => !isSame(event, recent[index + 1]));
}

function row({ at, from, to, reason }) {
  const time = element("time", { datetime: new Date(at * 1000).toISOString() }, clock(at));
  if (!to) return element("li", {}, time, element("span", {}, `Last call rejected: ${reason}`));
  const what = element("span", {}, element("span", { class: "event-state", "data-state": to }, icon(to), `${stateLabel(from)} → ${stateLabel(to)}`), reason ? `: ${reason}` : "");
  return element("li", {}, time, what);
}
