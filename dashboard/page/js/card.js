// The card of a breaker, and the card of all breakers with the same name and different keys. A card is built once and then updated.

import { STATE_NAMES, STATES, count, counted, duration, element, escaped, icon, keyText, measured, percent, quantiles, rate, setText, stateLabel } from "./format.js";
import { Timeline } from "./timeline.js";

/** The maximum number of keys on a card. */
const MAX_KEYS = 9;
/** The maximum number of keys on a card of normal height. */
const MAX_KEYS_NORMAL_HEIGHT = 3;

const COUNT_LABELS = { successes: "Succeeded", failures: "Failed", rejections: "Rejected" };

/** The counts of a card, each with its rate. */
class Counts {
  #fields = Object.keys(COUNT_LABELS).map((key) => ({ key, total: element("span"), rate: element("small") }));
  node = element("dl", { class: "counts" }, ...this.#fields.map(({ key, total, rate }) =>
    element("div", {}, element("dt", {}, COUNT_LABELS[key]), element("dd", {}, total, rate))));

  update(entry) {
    for (const { key, total } of this.#fields) setText(total, count(entry[key]));
  }

  rates(perSecond) {
    for (const { key, rate: node } of this.#fields) setText(node, rate(perSecond[key]));
  }
}

/** The line of a card for figures that only some breakers have. Hidden without figures. */
class Figures {
  node = element("p", { class: "figures", hidden: true });

  update(figures) {
    setText(this.node, figures.join(" · "));
    this.node.hidden = !figures.length;
  }
}

/** Returns the calls in flight with the age of the oldest, and the 99th percentile of the durations, as far as they are known. */
function breakerFigures({ in_flight, oldest_in_flight, durations }) {
  const oldest = oldest_in_flight == null ? "" : `, the oldest for ${measured(oldest_in_flight)}`;
  const inFlight = in_flight == null ? [] : [`${count(in_flight)} in flight${oldest}`];
  return [...inFlight, ...quantiles(durations).slice(-1).map((figure) => figure.join(" "))];
}

export class BreakerCard {
  #summary = element("p", { class: "summary" });
  #pill = element("span", { class: "pill" });
  #label = element("span");
  #value = element("b");
  #fill = element("i");
  #mark = element("s", { hidden: true });
  #track = element("div", { class: "track", "aria-hidden": "true" }, this.#fill, this.#mark);
  #counts = new Counts();
  #figures = new Figures();
  #timeline;
  #shownState = "";
  entry;

  constructor(entry, open, started) {
    this.#timeline = new Timeline(started);
    this.name = element("button", { type: "button", class: "name" });
    this.name.addEventListener("click", () => open(this.entry.id));
    const gauge = element("div", { class: "gauge" }, element("div", {}, this.#label, this.#value), this.#track);
    this.node = element("li", { class: "card" },
      element("header", {}, element("h3", {}, this.name), this.#pill), this.#summary, gauge, this.#counts.node, this.#figures.node, this.#timeline.node);
    setText(this.name, entry.name);
    this.name.title = escaped(entry.name);
  }

  update(entry, now) {
    this.entry = entry;
    if (this.#shownState !== entry.state) {
      this.#shownState = entry.state;
      this.node.dataset.state = entry.state;
      this.#pill.replaceChildren(icon(entry.state), stateLabel(entry.state));
    }
    this.#counts.update(entry);
    this.#figures.update(breakerFigures(entry));
    this.#timeline.draw(entry, now);
    this.tick(now);
  }

  /** Updates the parts that depend on the time. */
  tick(now) {
    setText(this.#summary, stateSummary(this.entry, now));
    const { label, value, fill, warning, mark } = gauge(this.entry, now);
    setText(this.#label, label);
    setText(this.#value, value);
    this.#fill.style.width = `${(Math.min(fill, 1) * 100).toFixed(1)}%`;
    this.#fill.classList.toggle("warning", warning);
    this.#mark.hidden = mark == null;
    if (mark != null) this.#mark.style.left = `${mark * 100}%`;
    this.#timeline.move(now);
  }

  rates(perSecond) {
    this.#counts.rates(perSecond);
  }
}

/** Returns a line about the state: its reason, and how long it has lasted. */
export function stateSummary(entry, now) {
  const age = entry.since ? ` · for ${duration(now - entry.since)}` : "";
  const reason = entry.operator_reason ? `: ${entry.operator_reason}` : "";
  switch (entry.state) {
    case "open":
      return capitalized(entry.reason ?? "open") + age;
    case "half-open":
      // The reason is present until the first trial call.
      return entry.reason ? `The next call is a trial call; ${entry.reason}` : `Trial calls are admitted${age}`;
    case "forced-open":
      return `Forced open by an operator${reason}${age}`;
    case "disabled":
      return `All calls are admitted${reason}${age}`;
    default:
      return (entry.config.observe_only ? "Observe only" : entry.since ? "Calls are admitted" : "Has never opened") + age;
  }
}

const capitalized = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** The gauge of a card: the progress towards the next state change. */
function gauge(entry, now) {
  const { config, window } = entry;
  if (entry.state === "open" || (entry.state === "forced-open" && entry.until)) {
    const left = Math.max(0, (entry.until ?? now) - now);
    const total = Math.max((entry.until ?? now) - (entry.since ?? now), left, 0.001);
    const value = left < 0.5 ? "on the next call" : `in ${duration(left)}`;
    return { label: "Trial call", value, fill: 1 - left / total, warning: false };
  }
  if (entry.state === "disabled" || entry.state === "forced-open") {
    const [label, value] = entry.until ? ["Closes", `in ${duration(entry.until - now)}`] : ["No expiry", ""];
    return { label, value, fill: 0, warning: false };
  }
  if (entry.state === "half-open") {
    const { trial_successes: done } = entry;
    const { half_open_successes: needed } = config;
    return { label: "Successful trial calls", value: `${done} of ${needed}`, fill: done / needed, warning: false };
  }
  const { calls, failures, slow } = window ?? { calls: 0, failures: 0, slow: 0 };
  const share = (part) => (calls ? part / calls : 0);
  const { failures: inARow, failure_rate, min_calls, slow_call, slow_call_rate } = config.threshold;
  // Of a threshold and a rate, the one that is closer to opening the circuit.
  const fill = inARow ? entry.consecutive_failures / inARow : 0;
  if (config.threshold.rule === "consecutive_failures" || fill > share(failures) / failure_rate) {
    return { label: "Failures in a row", value: `${entry.consecutive_failures} of ${inARow}`, fill, warning: fill >= 0.5 };
  }
  const bySlow = slow_call != null && share(slow) / slow_call_rate > share(failures) / failure_rate;
  const [part, threshold, outcome] = bySlow ? [slow, slow_call_rate, "slow"] : [failures, failure_rate, "failed"];
  const enough = calls >= min_calls;
  return {
    label: `${percent(share(part))} ${outcome} of ${counted(calls, "call")}`,
    value: enough ? `opens at ${percent(threshold)}` : `needs ${counted(min_calls, "call")}`,
    fill: share(part),
    warning: enough && share(part) >= threshold / 2,
    mark: threshold,
  };
}

/** The card of all breakers with the same name and different keys. */
export class GroupCard {
  #pill = element("span", { class: "pill" });
  #summary = element("p", { class: "summary" });
  #bar = element("div", { class: "state-bar", "aria-hidden": "true" });
  #legend = element("div", { class: "legend" });
  #keys = element("div", { class: "keys" });
  #counts = new Counts();
  #figures = new Figures();
  #open;
  entry;

  constructor(entry, open) {
    this.#open = open;
    this.name = element("span", { class: "text" }, entry.name);
    this.node = element("li", { class: "card group" },
      element("header", {}, element("h3", {}, this.name), this.#pill), this.#summary, this.#bar, this.#legend, this.#counts.node, this.#figures.node, this.#keys);
  }

  /** Updates the card; `keys` are the entries of the listed keys, most severe first. */
  update(entry, keys) {
    this.entry = entry;
    const counts = Object.fromEntries(STATE_NAMES.map((state) => [state, entry[state.replace("-", "_")]]));
    const present = STATE_NAMES.filter((state) => counts[state] > 0);
    const worst = present[0] ?? "closed";
    this.node.dataset.state = worst;
    this.#pill.replaceChildren(icon(worst), worst === "closed" ? "All closed" : `${counts[worst]} ${STATES[worst].label.toLowerCase()}`);
    setText(this.#summary, `${count(entry.keys)} of ${counted(entry.max_keys, "key")}`);
    this.#bar.replaceChildren(...present.map((state) => {
      const part = element("i", { "data-state": state });
      part.style.flex = `${counts[state]} 0 3px`;
      return part;
    }));
    this.#legend.replaceChildren(...present.map((state) =>
      element("span", { "data-state": state }, icon(state), `${count(counts[state])} ${STATES[state].label.toLowerCase()}`)));
    this.#counts.update(entry);
    const cancelled = entry.cancelled ? [`${count(entry.cancelled)} cancelled`] : [];
    this.#figures.update([...cancelled, ...quantiles(entry.durations).map((figure) => figure.join(" "))]);
    const unhealthy = keys.filter(({ state, failures, rejections }) => state !== "closed" || failures + rejections > 0);
    this.#list(unhealthy.slice(0, MAX_KEYS));
    this.node.classList.toggle("tall", unhealthy.length > MAX_KEYS_NORMAL_HEIGHT);
  }

  /** Updates the rows in place, so that the focus is kept. */
  #list(keys) {
    const rows = [...this.#keys.children];
    keys.forEach((key, index) => {
      let row = rows[index];
      if (!row) {
        row = element("button", { type: "button", class: "key" }, element("i"), element("span"), element("em"), element("small"));
        row.addEventListener("click", () => this.#open(row.dataset.id));
        this.#keys.append(row);
      }
      row.dataset.id = key.id;
      if (row.dataset.state !== key.state) {
        row.dataset.state = key.state;
        row.firstChild.replaceWith(icon(key.state));
      }
      row.classList.toggle("overflow", Boolean(key.overflow));
      setText(row.children[1], keyText(key));
      row.children[1].title = escaped(keyText(key));
      setText(row.children[2], stateLabel(key.state));
      setText(row.children[3], key.rejections ? `${count(key.rejections)} rej.` : "");
    });
    rows.slice(keys.length).forEach((row) => row.remove());
  }

  tick() {}

  rates(perSecond) {
    this.#counts.rates(perSecond);
  }
}
