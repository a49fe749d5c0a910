// The recent events of a breaker: state changes and rejections, newest first.

import { element, icon, stateLabel, timeElement } from "./format.js";
import { isOverride } from "./override.js";

/** The number of events that are shown at first. */
const SHORT = 8;
/** The greatest difference, in seconds, between the time of an override and that of the state change that it makes. */
const SAME = 1;

export class EventList {
  #list = element("ol", { class: "events" });
  #more = element("button", { type: "button", class: "link" });
  #all = false;
  #drawn = "";
  #shown = [];
  node = element("div", {}, this.#list, this.#more);

  constructor() {
    this.#more.addEventListener("click", () => {
      this.#all = !this.#all;
      this.update(...this.#shown);
    });
  }

  /** Shows the events, oldest first; undefined if they are not known. `overrides` name the operators. `none` is the text without events. */
  update(recent = [], overrides = [], none = "None since the start.") {
    this.#shown = [recent, overrides, none];
    const events = mergeRejections(withOperators(recent, overrides)).toReversed();
    const drawn = JSON.stringify([this.#all, none, events.length, events[0] ?? "", overrides.length]);
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    const rows = events.slice(0, this.#all ? events.length : SHORT).map(row);
    this.#list.replaceChildren(...(rows.length ? rows : [element("li", {}, none)]));
    this.#more.hidden = events.length <= SHORT;
    this.#more.textContent = this.#all ? "Show fewer" : `Show all ${events.length}`;
  }
}

/** Keeps only the last of consecutive rejections with the same reason. */
function mergeRejections(recent) {
  const isSame = (event, next) => next && !event.to && !next.to && event.reason === next.reason;
  return recent.filter((event, index) => !isSame(event, recent[index + 1]));
}

/** Adds the operator to state changes, and the operator's reason to rejections. */
function withOperators(recent, overrides) {
  let rejecting = "";
  return recent.map((event) => {
    const { at, to, reason } = event;
    if (!to) return { ...event, detail: rejecting };
    rejecting = isOverride(to) ? reason : "";
    const operator = overrides.findLast((override) => override.to === to && Math.abs(override.at - at) < SAME)?.operator;
    return { ...event, operator };
  });
}

function row({ at, from, to, reason, operator, detail }) {
  const time = timeElement(at);
  if (!to) return element("li", {}, time, element("span", {}, `Last call rejected: ${reason}${detail ? `, “${detail}”` : ""}`));
  const by = operator ? ` by ${operator}` : "";
  const what = element("span", {}, element("span", { class: "event-state", "data-state": to }, icon(to), `${stateLabel(from)} → ${stateLabel(to)}`), `${by}${reason ? `: ${reason}` : ""}`);
  return element("li", {}, time, what);
}
