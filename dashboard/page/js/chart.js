// The last 10 minutes of an entry: its calls by outcome, and the states of its circuit below them. Unknown time is hatched.

import { count, element, setText, stateLabel, svgElement } from "./format.js";

const WIDTH = 600;
const STEP = 10;
const SLOTS = WIDTH / STEP;
/** The heights of the calls, of the gap below them, and of the states, in units of the view box. */
const [CALLS, GAP, STATES] = [80, 4, 16];
/** States differ by height as well as by colour. */
const STATE_HEIGHTS = { "closed": 5, "disabled": 7, "half-open": 11, "open": 16, "forced-open": 16 };
const AXIS_STEP = 120;

const timeOf = (at, withSeconds) => new Date(at * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", ...(withSeconds ? { second: "2-digit" } : {}), hourCycle: "h23" });
const perSecond = (number) => (number < 10 ? Number(number.toFixed(1)) : Math.round(number));

export class Chart {
  #series;
  #sampleOf;
  #height;
  #svg = svgElement("svg", { preserveAspectRatio: "none", "aria-hidden": "true" });
  #cursor = element("div", { class: "cursor", hidden: true });
  #plot = element("div", { class: "plot", tabindex: "0", role: "slider", "aria-label": "The last 10 minutes, by arrow keys", "aria-valuemin": "1", "aria-valuemax": String(SLOTS) }, this.#svg, this.#cursor);
  #axis = element("div", { class: "axis", "aria-hidden": "true" });
  #peak = element("span", { class: "peak" });
  #readout = element("p", { class: "readout", "aria-hidden": "true" });
  #rows = element("tbody");
  #table;
  #slots = [];
  #selected = null;
  #origin = 0;
  #drawn = "";
  node;

  /**
   * Creates an empty chart; `series` are the label and the style of each number of a sample, null for a number without a
   * meaning. `sampleOf` converts the numbers of a sample to those that are drawn above each other.
   */
  constructor(series, hasStates, sampleOf = (numbers) => numbers) {
    this.#series = series;
    this.#sampleOf = sampleOf;
    this.#height = hasStates ? CALLS + GAP + STATES : CALLS;
    const shown = series.filter(Boolean);
    const legend = shown.map(([label, style]) => element("li", {}, element("i", { class: `swatch ${style}`, "aria-hidden": "true" }), label));
    legend.push(element("li", {}, element("i", { class: "swatch unknown", "aria-hidden": "true" }), "Unknown"));
    const head = ["Until", ...shown.map(([label]) => label), ...(hasStates ? ["State"] : [])];
    this.#table = element("details", { class: "chart-table" }, element("summary", {}, "The same as a table"),
      element("table", { class: "figures-table" }, element("thead", {}, element("tr", {}, ...head.map((label) => element("th", { scope: "col" }, label)))), this.#rows));
    this.#table.addEventListener("toggle", () => this.#fillTable());
    this.node = element("figure", { class: hasStates ? "chart with-states" : "chart" },
      element("figcaption", {}, element("h3", {}, "Last 10 minutes"), element("ul", { class: "share-legend" }, ...legend), this.#peak),
      this.#plot, this.#axis, this.#readout, this.#table);
    this.#listen();
  }

  #listen() {
    const moves = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -6, PageUp: 6, Home: -SLOTS, End: SLOTS };
    this.#plot.addEventListener("keydown", (event) => {
      if (!(event.key in moves)) return;
      event.preventDefault();
      this.#select((this.#selected ?? SLOTS - 1) + moves[event.key]);
    });
    this.#plot.addEventListener("focus", () => this.#select(this.#selected ?? SLOTS - 1));
    this.#plot.addEventListener("blur", () => this.#select(null));
    this.#plot.addEventListener("pointermove", (event) => {
      const { left, width } = this.#plot.getBoundingClientRect();
      this.#select(Math.floor(((event.clientX - left) / width) * SLOTS));
    });
    this.#plot.addEventListener("pointerleave", () => this.#select(null));
  }

  /** Draws the history of an entry; `now` is the right edge. */
  update({ history, state, since, recent = [] }, now) {
    const { changes = [] } = history;
    const known = history.known_since ?? now;
    const samples = history.samples.map(([at, ...numbers]) => [at, ...this.#sampleOf(numbers)]);
    const drawn = JSON.stringify([samples.at(-1), samples.length, changes.at(-1), changes.length, state, since]);
    if (drawn !== this.#drawn) {
      this.#drawn = drawn;
      this.#origin = samples.at(-1)?.[0] ?? now;
      this.#slots = slots(samples, stateSpans(changes, { state, since, recent }, known, now), this.#origin);
      this.#draw(stateSpans(changes, { state, since, recent }, known, Infinity));
      this.#fillTable();
      this.#select(this.#selected);
    }
    this.#svg.setAttribute("viewBox", `${(now - this.#origin - WIDTH).toFixed(1)} 0 ${WIDTH} ${this.#height}`);
    this.#drawAxis(now);
  }

  #draw(spans) {
    const most = Math.max(1, ...this.#slots.map((slot) => total(slot.counts)));
    const rects = [];
    for (const { at, counts } of this.#slots) {
      if (!counts) continue;
      const x = at - this.#origin - STEP;
      rects.push(rect("known", x, 0, STEP + 0.5, CALLS + GAP));
      let y = CALLS;
      counts.forEach((number, index) => {
        const height = (number / most) * CALLS;
        // A sample with few failures among many calls still shows them.
        const shown = number && this.#series[index] ? Math.max(height, 1.5) : 0;
        if (shown) rects.push(rect(this.#series[index][1], x + 0.75, (y -= shown), STEP - 1.5, shown));
      });
    }
    for (const [from, until, state] of spans) {
      const height = STATE_HEIGHTS[state] ?? STATES;
      const width = Math.max(Math.min(until - this.#origin, WIDTH) - (from - this.#origin), 2);
      rects.push(rect("known", from - this.#origin, CALLS + GAP, width, STATES));
      rects.push(rect("state", from - this.#origin, this.#height - height, width, height, state));
    }
    this.#svg.replaceChildren(...rects);
    setText(this.#peak, this.#slots.some(({ counts }) => counts) ? `at most ${perSecond(most / STEP)} per second` : "no samples yet");
  }

  #drawAxis(now) {
    const first = Math.ceil((now - WIDTH) / AXIS_STEP) * AXIS_STEP;
    const times = Array.from({ length: WIDTH / AXIS_STEP }, (_, index) => first + index * AXIS_STEP).filter((at) => at < now - 20 && at > now - WIDTH + 15);
    while (this.#axis.children.length > times.length) this.#axis.lastChild.remove();
    while (this.#axis.children.length < times.length) this.#axis.append(element("span"));
    times.forEach((at, index) => {
      this.#axis.children[index].style.left = `${(((at - now + WIDTH) / WIDTH) * 100).toFixed(2)}%`;
      setText(this.#axis.children[index], timeOf(at, false));
    });
  }

  /** Selects a slot and shows its values; null shows none. */
  #select(index) {
    this.#selected = index == null ? null : Math.max(0, Math.min(SLOTS - 1, index));
    const slot = this.#slots[this.#selected ?? SLOTS - 1];
    this.#cursor.hidden = this.#selected == null;
    if (!slot) return;
    const text = this.#describe(slot);
    this.#plot.setAttribute("aria-valuenow", String((this.#selected ?? SLOTS - 1) + 1));
    this.#plot.setAttribute("aria-valuetext", text);
    if (this.#selected != null) this.#cursor.style.left = `${(this.#selected / SLOTS) * 100}%`;
    setText(this.#readout, this.#selected == null ? "" : text);
  }

  #describe({ at, counts, state }) {
    const time = `${timeOf(at - STEP, true)} to ${timeOf(at, true)}`;
    const ofState = state ? `; ${stateLabel(state).toLowerCase()}` : "";
    if (!counts) return `${time}: unknown${ofState}`;
    const parts = this.#series.map((series, index) => series && `${count(counts[index])} ${series[0].toLowerCase()}`).filter(Boolean);
    return `${time}: ${parts.join(", ")}${ofState}`;
  }

  #fillTable() {
    if (!this.#table.open) return;
    const hasStates = this.node.classList.contains("with-states");
    this.#rows.replaceChildren(...this.#slots.toReversed().map(({ at, counts, state }) => element("tr", {},
      element("th", { scope: "row" }, timeOf(at, true)),
      ...this.#series.map((series, index) => series && element("td", {}, counts ? count(counts[index]) : "unknown")).filter(Boolean),
      ...(hasStates ? [element("td", {}, state ? stateLabel(state) : "unknown")] : []))));
  }
}

const total = (counts) => (counts ?? []).reduce((sum, number) => sum + number, 0);

/** Returns the 60 slots of 10 s up to `last`, with the numbers of their sample and the state at their end, as far as they are known. */
function slots(samples, spans, last) {
  const byIndex = new Map(samples.map(([at, ...counts]) => [SLOTS - 1 + Math.round((at - last) / STEP), counts]));
  return Array.from({ length: SLOTS }, (_, index) => {
    const at = last - (SLOTS - 1 - index) * STEP;
    const span = spans.findLast(([from, until]) => from <= at && at <= until);
    return { at, counts: byIndex.get(index) ?? null, state: span?.[2] ?? null };
  });
}

/** Returns `[from, until, state]` for each known span. `end` is the end of the present state. */
function stateSpans(changes, { state, since, recent }, known, end) {
  if (!state) return [];
  if (!changes.length) return [[Math.max(known, since ?? known), end, state]];
  const [[first]] = changes;
  const before = recent.find((event) => event.to && Math.abs(event.at - first) < 0.5)?.from;
  const spans = before && first > known ? [[known, first, before]] : [];
  changes.forEach(([at, to], index) => spans.push([at, changes[index + 1]?.[0] ?? end, to]));
  return spans;
}

function rect(style, x, y, width, height, state) {
  return svgElement("rect", { class: style, x: x.toFixed(2), y: y.toFixed(2), width: width.toFixed(2), height: height.toFixed(2), ...(state ? { "data-state": state } : {}) });
}
