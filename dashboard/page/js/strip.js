// The last minutes of a breaker: states by height as well as by colour. Time is the x axis, and moving the view moves the strip.

import { STATES, clock, svgElement } from "./format.js";

export const MINUTES = 10;
const WIDTH = MINUTES * 60;
const HEIGHT = 14;
const TALL = { "closed": 4, "half-open": 9, "open": 14, "forced-open": 14, "disabled": 6 };

export class Strip {
  #svg = svgElement("svg", { class: "strip", preserveAspectRatio: "none", role: "img" });
  #origin;
  #started;
  #drawn = "";
  /** Changes as far back as the strip goes: a breaker remembers only its last ones. */
  #changes = [];
  #seen = 0;
  /** From when on nothing is missing. */
  #complete;

  /** `started` is when there was something to see for the first time. */
  constructor(started) {
    this.#origin = this.#started = this.#complete = started;
  }

  get node() {
    return this.#svg;
  }

  /** Draws anew if something has happened. */
  draw({ state, since, recent, transitions }, now) {
    const changes = this.#remember(recent.filter((line) => line.to), transitions, now);
    const key = `${state} ${since} ${changes.length} ${changes[0]?.at} ${changes.at(-1)?.at}`;
    if (key === this.#drawn) return;
    this.#drawn = key;
    const x = (at) => at - this.#origin;
    const start = x(Math.max(this.#started, this.#complete));
    const rects = changes.map(({ to, at }, index) => {
      const from = x(at);
      const until = index + 1 < changes.length ? x(changes[index + 1].at) : from + 1e7;
      return bar(to, from, until);
    });
    const first = changes[0];
    if (!first || x(first.at) > start) rects.unshift(bar(first?.from ?? state, start, first ? x(first.at) : 1e7));
    this.#svg.replaceChildren(...rects);
    const told = changes.slice(-3).map(({ to, at }) => `${STATES[to]?.word ?? to} at ${clock(at)}`).join(", ");
    this.#svg.setAttribute("aria-label", `Last ${MINUTES} minutes: ${told || STATES[state]?.word || state}`);
  }

  /** Adds what is new. What has happened since the last look may be more than is told; then what was before is not drawn. */
  #remember(told, transitions, now) {
    const fresh = transitions - this.#seen;
    this.#seen = transitions;
    if (fresh > told.length) {
      this.#changes = [];
      this.#complete = told[0]?.at ?? now;
    }
    if (fresh > 0) this.#changes.push(...told.slice(-fresh));
    // The one before the view began says in which state it began.
    while (this.#changes.length > 1 && this.#changes[1].at < now - WIDTH) this.#changes.shift();
    return this.#changes;
  }

  /** Moves the view to end now. */
  move(now) {
    this.#svg.setAttribute("viewBox", `${(now - this.#origin - WIDTH).toFixed(1)} 0 ${WIDTH} ${HEIGHT}`);
  }
}

function bar(state, from, until) {
  const height = TALL[state] ?? HEIGHT;
  // What is shorter than a pixel is seen all the same.
  const width = Math.max(until - from, 2);
  return svgElement("rect", { class: state, x: from.toFixed(2), y: HEIGHT - height, width: width.toFixed(2), height });
}
