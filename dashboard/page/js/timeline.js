// The states of a breaker over the last minutes, distinguished by height and colour. The x axis is the time in seconds, so the timeline
// moves when the view box moves.

import { clock, stateLabel, svgElement } from "./format.js";

export const MINUTES = 10;
const WIDTH = MINUTES * 60;
const HEIGHT = 14;
const STATE_HEIGHTS = { "closed": 4, "half-open": 9, "open": 14, "forced-open": 14, "disabled": 6 };
/** The width of the bar of the current state, which has no end yet. It reaches far beyond the view. */
const UNBOUNDED = 1e7;

export class Timeline {
  #svg = svgElement("svg", { class: "timeline", preserveAspectRatio: "none", role: "img" });
  #origin;
  #started;
  #drawn = "";
  /** The state changes within the view. The server lists only the most recent ones of each breaker. */
  #changes = [];
  #seenTransitions = 0;
  /** The time since which no state change is missing. */
  #completeSince;

  /** Creates an empty timeline; `started` is the earliest time for which states are known. */
  constructor(started) {
    this.#origin = this.#started = this.#completeSince = started;
  }

  get node() {
    return this.#svg;
  }

  /** Redraws the bars if the state has changed. */
  draw({ state, since, recent, transitions }, now) {
    const changes = this.#addChanges(recent.filter((event) => event.to), transitions, now);
    const key = `${state} ${since} ${changes.length} ${changes[0]?.at} ${changes.at(-1)?.at}`;
    if (key === this.#drawn) return;
    this.#drawn = key;
    const x = (at) => at - this.#origin;
    const start = x(Math.max(this.#started, this.#completeSince));
    const bars = changes.map(({ to, at }, index) => {
      const from = x(at);
      const until = index + 1 < changes.length ? x(changes[index + 1].at) : from + UNBOUNDED;
      return bar(to, from, until);
    });
    const first = changes[0];
    if (!first || x(first.at) > start) bars.unshift(bar(first?.from ?? state, start, first ? x(first.at) : UNBOUNDED));
    this.#svg.replaceChildren(...bars);
    const label = changes.slice(-3).map(({ to, at }) => `${stateLabel(to)} at ${clock(at)}`).join(", ");
    this.#svg.setAttribute("aria-label", `Last ${MINUTES} minutes: ${label || stateLabel(state)}`);
  }

  /**
   * Adds those of the `listed` changes that are new. If more changes have happened than are listed, the time before the first listed change
   * stays blank.
   */
  #addChanges(listed, transitions, now) {
    const added = transitions - this.#seenTransitions;
    this.#seenTransitions = transitions;
    if (added > listed.length) {
      this.#changes = [];
      this.#completeSince = listed[0]?.at ?? now;
    }
    if (added > 0) this.#changes.push(...listed.slice(-added));
    // The last change before the view is kept: it determines the state at the left edge.
    while (this.#changes.length > 1 && this.#changes[1].at < now - WIDTH) this.#changes.shift();
    return this.#changes;
  }

  /** Moves the view so that it ends at `now`. */
  move(now) {
    this.#svg.setAttribute("viewBox", `${(now - this.#origin - WIDTH).toFixed(1)} 0 ${WIDTH} ${HEIGHT}`);
  }
}

function bar(state, from, until) {
  const height = STATE_HEIGHTS[state] ?? HEIGHT;
  // A bar is at least two seconds wide, so that a short state remains visible.
  const width = Math.max(until - from, 2);
  return svgElement("rect", { class: state, x: from.toFixed(2), y: HEIGHT - height, width: width.toFixed(2), height });
}
