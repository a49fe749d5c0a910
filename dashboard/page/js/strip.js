// The last 10 minutes of a breaker: its states as a band, its calls as bars. The x axis is the time in seconds, so the strip moves when the
// view box moves. Time that is not known is hatched (by the background of the strip).

import { element, setAttribute, setText, shortClock, stateLabel, svgElement } from "./format.js";

const SECONDS = 600;
const HEIGHT = 40;
const BAND = 9;
const BARS = HEIGHT - BAND - 3;
/** The height of the band in each state. States differ by height as well as by colour. */
const HEIGHTS = { "closed": 3, "disabled": 5, "half-open": 6, "forced-open": 9, "open": 9 };
/** The end of the present state, which has no end yet: far beyond the view. */
const UNBOUNDED = 1e7;

/** The length of a URL above which no further id is added to it. Servers and proxies limit the length to 8 KiB. */
const MAX_URL = 5000;

/** @typedef {{known_since: number, step: number, samples: number[][], changes: [number, string][]}} History */

export class Strip {
  #known = path("known");
  #calls = { successes: path("calls successes"), rejections: path("calls rejections"), failures: path("calls failures") };
  #states = svgElement("g", {});
  #svg = svgElement("svg", { preserveAspectRatio: "none", role: "img" });
  #times = [element("span"), element("span"), element("span", {}, "now")];
  #origin = 0;
  #drawn = "";
  node = element("div", { class: "strip" }, this.#svg, element("div", { class: "times", "aria-hidden": "true" }, ...this.#times));

  constructor() {
    this.#svg.append(this.#known, ...Object.values(this.#calls), this.#states);
    this.#svg.setAttribute("aria-label", "The last 10 minutes are not known yet");
  }

  /** Redraws the strip if its history, or the state of the row, has changed. @param {History} history */
  draw(history, { state, since, transitions }) {
    const { known_since: known, step, samples, changes } = history;
    const drawn = `${samples.at(-1)?.[0]} ${changes.length} ${changes.at(-1)?.[0]} ${state} ${since}`;
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    this.#origin = known;
    this.#drawKnown(known, samples, step);
    this.#drawCalls(samples, step);
    this.#drawStates(known, changes, { state, since, transitions });
  }

  /** Times without samples are not known. The newest sample is followed by another within two steps. */
  #drawKnown(known, samples, step) {
    const spans = [];
    for (const [at] of samples) {
      if (spans.length && at - step <= spans.at(-1)[1] + step / 2) spans.at(-1)[1] = at;
      else spans.push([at - step, at]);
    }
    if (spans.length) spans.at(-1)[1] += 2 * step;
    else spans.push([known, known + 2 * step]);
    this.#known.setAttribute("d", spans.map(([from, until]) => `M${(from - this.#origin).toFixed(1)} 0h${(until - from).toFixed(1)}v${HEIGHT - BAND}h${(from - until).toFixed(1)}z`).join(""));
  }

  #drawCalls(samples, step) {
    const most = Math.max(1, ...samples.map(([, ...counts]) => counts.reduce((sum, number) => sum + number, 0)));
    const parts = { successes: "", failures: "", rejections: "" };
    for (const [at, successes, failures, rejections] of samples) {
      const x = at - this.#origin - step + 1;
      let bottom = BARS;
      for (const [name, number] of [["failures", failures], ["rejections", rejections], ["successes", successes]]) {
        if (!number) continue;
        const height = Math.max(0.8, (number / most) * BARS);
        parts[name] += `M${x.toFixed(1)} ${bottom.toFixed(1)}v${(-height).toFixed(1)}h${step - 2}v${height.toFixed(1)}z`;
        bottom -= height;
      }
    }
    for (const [name, d] of Object.entries(parts)) this.#calls[name].setAttribute("d", d);
  }

  #drawStates(known, changes, { state, since, transitions = 0 }) {
    // A change that the stream has sent since the history was read.
    const last = changes.at(-1);
    const all = since && since > (last?.[0] ?? 0) + 0.01 && state !== last?.[1] ? [...changes, [since, state]] : changes;
    // Before its first change, a breaker is closed. If there were earlier changes that are not listed, the state is not known.
    const initial = all.length ? (transitions <= all.length && all[0][0] > known ? [[known, "closed"]] : []) : [[known, state]];
    const spans = [...initial, ...all];
    this.#states.replaceChildren(...spans.flatMap(([at, name], index) => {
      const from = Math.max(0, at - known);
      const until = index + 1 < spans.length ? spans[index + 1][0] - known : UNBOUNDED;
      const height = HEIGHTS[name] ?? BAND;
      // A state is at least two seconds wide, so that a short one remains visible.
      const place = { x: from.toFixed(1), width: Math.max(until - from, 2).toFixed(1) };
      return [svgElement("rect", { class: "known", ...place, y: HEIGHT - BAND, height: BAND }), svgElement("rect", { "data-state": name, ...place, y: HEIGHT - height, height })];
    }));
    const recent = all.slice(-3).map(([at, name]) => `${stateLabel(name).toLowerCase()} at ${shortClock(at)}`).join(", ");
    this.#svg.setAttribute("aria-label", `Last 10 minutes: ${recent || stateLabel(state).toLowerCase()}`);
  }

  /** Moves the view so that it ends at `now`. */
  move(now) {
    setAttribute(this.#svg, "viewBox", `${Math.round(now - this.#origin - SECONDS)} 0 ${SECONDS} ${HEIGHT}`);
    setText(this.#times[0], shortClock(now - SECONDS));
    setText(this.#times[1], shortClock(now - SECONDS / 2));
  }
}

const path = (style) => svgElement("path", { class: style });

/** Fetches the histories of the rows that are seen, as many as one request may ask for. */
export class Histories {
  #url;
  #headers;
  #known = new Map();
  #wanted = new Set();
  #timer = 0;
  #onHistory;

  /** @param {URL} url @param {() => object} headers @param {(id: string, history: History) => void} onHistory */
  constructor(url, headers, onHistory) {
    this.#url = url;
    this.#headers = headers;
    this.#onHistory = onHistory;
  }

  /** Returns the history of a row; `undefined` before it has arrived. @returns {History | undefined} */
  get(id) {
    return this.#known.get(id);
  }

  /** Asks for the histories of rows that have become visible. */
  want(ids) {
    for (const id of ids) this.#wanted.add(id);
    if (this.#wanted.size && !this.#timer) this.#timer = setTimeout(() => this.#fetch(), 120);
  }

  /** Asks again for the histories of all rows that are visible, and forgets the others. */
  refresh(ids) {
    const visible = new Set(ids);
    for (const id of this.#known.keys()) if (!visible.has(id)) this.#known.delete(id);
    this.want(visible);
  }

  async #fetch() {
    const url = new URL(this.#url);
    for (const id of [...this.#wanted].slice(0, 100)) {
      url.searchParams.append("id", id);
      this.#wanted.delete(id);
      if (url.href.length > MAX_URL) break;
    }
    try {
      const response = await fetch(url, { headers: this.#headers(), cache: "no-store" });
      const { items, step = 10 } = response.ok ? await response.json() : { items: {} };
      for (const [id, history] of Object.entries(items)) {
        this.#known.set(id, { ...history, step });
        this.#onHistory(id, { ...history, step });
      }
    } catch {
      // The strips stay as they are; the next refresh asks again.
    }
    this.#timer = 0;
    if (this.#wanted.size) this.want([]);
  }
}

