// The log of state changes and overrides, and the announcements for screen readers.

import { clock, element, escaped, icon, setText, shortened, stateLabel, timeElement, title } from "./format.js";

/** The number of events that are kept, as on the server: 1,000 state changes and 1,000 overrides. */
const MAX_EVENTS = 2_000;
const MAX_LINES = 40;
/** The least time between two announcements, in milliseconds. */
const ANNOUNCEMENT_PERIOD = 10_000;

/** The number of the line of the start. The server numbers events from 1. */
const START = -1;

const ACTIONS = { force_open: "forced open", disable: "disabled", reset: "reset" };

export class Log {
  #parts;
  #ctx;
  /** The events by their numbers, oldest first. */
  #events = new Map();
  #lines = new Map();
  #frame = 0;
  #complete = false;
  /** The number of the newest event. */
  #newest = 0;

  /** @param {{list, empty, filter, overrides}} parts elements of the page @param {{base: URL, store, now(), headers(), open(id)}} ctx */
  constructor(parts, ctx) {
    this.#parts = parts;
    this.#ctx = ctx;
    for (const control of [parts.filter, parts.overrides]) control.addEventListener("input", () => this.#filter());
  }

  /** The events of the log, oldest first. */
  get events() {
    return [...this.#events.values()];
  }

  /** Adds the events of a message. */
  add(events) {
    const numbers = events.map(({ n }) => n).filter((n) => n > 0);
    // After a lost connection the stream begins with the newest events: those before them are missing.
    if (numbers.length && Math.min(...numbers) > this.#newest + 1) this.#complete = false;
    this.#newest = Math.max(this.#newest, ...numbers);
    this.#take(events);
    if (!this.#complete && this.#isFiltering) this.#filter();
  }

  get #isFiltering() {
    const { filter, overrides } = this.#parts;
    return overrides.checked || filter.value.trim() !== "";
  }

  #take(events) {
    for (const event of events) this.#events.set(event.n, event);
    while (this.#events.size > MAX_EVENTS) this.#events.delete(this.#oldest());
    this.#frame ||= requestAnimationFrame(() => this.#draw());
  }

  /** Returns the number of the oldest state change, or else of the oldest event: an override may be in force for a long time. */
  #oldest() {
    for (const { n, kind } of this.#events.values()) if (kind === "state") return n;
    return this.#events.keys().next().value;
  }

  /** Notes the start of the program, which is the oldest line. */
  started(at) {
    this.add([{ n: START, at, kind: "start", name: "Program" }]);
  }

  /** Forgets all events: the server was restarted and numbers them again. */
  clear() {
    this.#events.clear();
    this.#complete = false;
    this.#newest = 0;
    this.#take([]);
  }

  /** Reads all events that the server has kept before a filter is applied for the first time, and again if some were missed. */
  async #filter() {
    this.#draw();
    if (this.#complete) return;
    this.#complete = true;
    try {
      const url = new URL("api/events", this.#ctx.base);
      url.search = new URLSearchParams({ after: 0, limit: MAX_EVENTS });
      const response = await fetch(url, { headers: this.#ctx.headers(), cache: "no-store" });
      if (!response.ok) throw new Error(response.statusText);
      const { events } = await response.json();
      const newest = [...this.#events.values()];
      this.#events.clear();
      this.#take([...events, ...newest].sort((one, other) => one.n - other.n));
    } catch {
      this.#complete = false;
      this.#draw();
    }
  }

  #draw() {
    this.#frame = 0;
    const { list, empty, filter, overrides } = this.#parts;
    const text = filter.value.trim().toLowerCase();
    const shown = [...this.#events.values()].sort((one, other) => other.n - one.n)
      .filter((event) => (!overrides.checked || event.kind === "override") && (!text || title(event).toLowerCase().includes(text)))
      .slice(0, MAX_LINES);
    const numbers = new Set(shown.map(({ n }) => n));
    for (const [n, line] of this.#lines) {
      if (numbers.has(n)) continue;
      line.remove();
      this.#lines.delete(n);
    }
    let cursor = list.firstChild;
    for (const event of shown) {
      if (!this.#lines.has(event.n)) this.#lines.set(event.n, this.#line(event));
      const line = this.#lines.get(event.n);
      if (line === cursor) cursor = cursor.nextSibling;
      else list.insertBefore(line, cursor);
    }
    empty.hidden = shown.length > 0;
    const incomplete = this.#isFiltering && !this.#complete;
    setText(empty, incomplete ? "The log could not be read." : this.#events.size ? "No line matches." : "None yet.");
  }

  #line(event) {
    const { id, at, kind, to, reason, operator, action, expires_at: expires } = event;
    if (kind === "start") return element("li", {}, element("i"), element("span", {}, "Program started"), timeElement(at, this.#ctx.now()));
    const name = element("button", { type: "button", class: "log-name", title: escaped(title(event)) }, event.key == null ? event.name : shortened(event.key, 25));
    name.addEventListener("click", () => this.#ctx.open(id));
    const byOperator = kind === "override";
    const observes = this.#ctx.store.rows.get(id)?.observe_only && (to === "open" || to === "half-open");
    const state = `${observes ? "would be " : ""}${stateLabel(to).toLowerCase()}`;
    const what = byOperator ? `${ACTIONS[action] ?? action} by ${operator || "an operator"}` : state;
    // The reason of an opening belongs to no later state.
    const cause = to !== "open" && /^open /.test(reason ?? "") ? "" : (reason ?? "").replace(/^open /, "");
    const group = event.key == null ? "" : `${event.name}: `;
    const detail = [cause, byOperator && expires ? `until ${clock(expires)}` : ""].filter(Boolean).join(" · ");
    return element("li", { "data-state": to ?? "closed", "class": kind }, icon(to), name, timeElement(at, this.#ctx.now()),
      element("p", {}, group, element("em", {}, what), ...(detail ? [`${/^(after|because) /.test(detail) ? "" : ":"} ${detail}`] : [])));
  }
}

/** Announces changes of conditions, gathered to at most one sentence in 10 seconds. */
export class Announcer {
  #node;
  #changes = new Map();
  #timer = 0;
  #last = -Infinity;

  constructor(node) {
    this.#node = node;
  }

  /** Takes changed rows. */
  add(rows) {
    for (const row of rows) this.#changes.set(row.id, row);
    if (!this.#changes.size || this.#timer) return;
    const wait = Math.max(0, this.#last + ANNOUNCEMENT_PERIOD - performance.now());
    this.#timer = setTimeout(() => this.#announce(), wait);
  }

  #announce() {
    this.#timer = 0;
    this.#last = performance.now();
    const [first, ...others] = this.#changes.values();
    this.#changes.clear();
    const more = others.length ? `, and ${others.length} more changed` : "";
    setText(this.#node, `${title(first)} is ${stateLabel(first.condition).toLowerCase()}${more}`);
  }
}
