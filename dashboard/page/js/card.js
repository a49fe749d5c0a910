// One card: a breaker, or all breakers of a name that has keys. Made once, then only what has changed is written.

import { ORDER, STATES, count, element, escaped, icon, keyText, percent, rate, setText, span } from "./format.js";
import { Strip } from "./strip.js";

/** Keys on a card, and how many of them fit on one that is no taller than others. */
const KEYS_SHOWN = 9;
const KEYS_LOW = 3;

export class BreakerCard {
  #why = element("p", { class: "why" });
  #pill = element("span", { class: "pill" });
  #label = element("span");
  #value = element("b");
  #fill = element("i");
  #mark = element("s", { hidden: true });
  #track = element("div", { class: "track", "aria-hidden": "true" }, this.#fill, this.#mark);
  #counts = ["successes", "failures", "rejections"].map((key) => ({ key, total: element("span"), rate: element("small") }));
  #strip;
  #pilled = "";
  entry;

  constructor(entry, open, started) {
    this.#strip = new Strip(started);
    this.name = element("button", { type: "button", class: "name" });
    this.name.addEventListener("click", () => open(this.entry.id));
    const gauge = element("div", { class: "gauge" }, element("div", {}, this.#label, this.#value), this.#track);
    const words = { successes: "Succeeded", failures: "Failed", rejections: "Rejected" };
    const counts = element("dl", { class: "counts" }, ...this.#counts.map(({ key, total, rate }) =>
      element("div", {}, element("dt", {}, words[key]), element("dd", {}, total, rate))));
    this.node = element("li", { class: "card" },
      element("header", {}, element("h3", {}, this.name), this.#pill), this.#why, gauge, counts, this.#strip.node);
    setText(this.name, entry.name);
    this.name.title = escaped(entry.name);
  }

  update(entry, now) {
    this.entry = entry;
    if (this.#pilled !== entry.state) {
      this.#pilled = entry.state;
      this.node.dataset.state = entry.state;
      this.#pill.replaceChildren(icon(entry.state), STATES[entry.state]?.word ?? entry.state);
    }
    for (const { key, total } of this.#counts) setText(total, count(entry[key]));
    this.#strip.draw(entry, now);
    this.tick(now);
  }

  /** What changes by itself as time passes. */
  tick(now) {
    setText(this.#why, why(this.entry, now));
    const { label, value, fill, near, mark } = gauge(this.entry, now);
    setText(this.#label, label);
    setText(this.#value, value);
    this.#fill.style.width = `${(Math.min(fill, 1) * 100).toFixed(1)}%`;
    this.#fill.classList.toggle("near", near);
    this.#mark.hidden = mark == null;
    if (mark != null) this.#mark.style.left = `${mark * 100}%`;
    this.#strip.move(now);
  }

  rates(perSecond) {
    for (const { key, rate: node } of this.#counts) setText(node, rate(perSecond[key]));
  }
}

/** What there is to say about its state. */
export function why(entry, now) {
  const since = entry.since ? ` · for ${span(now - entry.since)}` : "";
  const note = entry.operator_reason ? ` — ${entry.operator_reason}` : "";
  switch (entry.state) {
    case "open":
      return sentence(entry.reason ?? "open") + since;
    case "half-open":
      // With a reason, it has not been tried yet.
      return entry.reason ? `The next call is a trial; ${entry.reason}` : `Trial calls decide${since}`;
    case "forced-open":
      return `By an operator${note}${since}`;
    case "disabled":
      return `Lets every call through${note}${since}`;
    default:
      return (entry.limits.observe_only ? "Only observes" : entry.since ? "Calls go through" : "Has never opened") + since;
  }
}

const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** How far it is from the next change. */
function gauge(entry, now) {
  const { limits, window } = entry;
  if (entry.state === "open" || (entry.state === "forced-open" && entry.until)) {
    const left = Math.max(0, (entry.until ?? now) - now);
    const all = Math.max((entry.until ?? now) - (entry.since ?? now), left, 0.001);
    const value = left < 0.5 ? "with the next call" : `in ${span(left)}`;
    return { label: "Trial call", value, fill: 1 - left / all, near: false };
  }
  if (entry.state === "disabled" || entry.state === "forced-open") {
    const value = entry.until ? `in ${span(entry.until - now)}` : "no expiry";
    return { label: entry.until ? "Closes again" : "Until an operator says otherwise", value: entry.until ? value : "", fill: 0, near: false };
  }
  if (entry.state === "half-open") {
    const { trial_successes: done } = entry;
    const { half_open_max_calls: needed } = limits;
    return { label: "Trial calls that succeeded", value: `${done} of ${needed}`, fill: done / needed, near: false };
  }
  if (limits.threshold.rule === "consecutive_failures") {
    const { failures } = limits.threshold;
    const fill = entry.consecutive_failures / failures;
    return { label: "Failures in a row", value: `${entry.consecutive_failures} of ${failures}`, fill, near: fill >= 0.5 };
  }
  const { failure_rate, min_calls, slow_call, slow_call_rate } = limits.threshold;
  const { calls, failures, slow } = window ?? { calls: 0, failures: 0, slow: 0 };
  const share = (part) => (calls ? part / calls : 0);
  const bySlow = slow_call != null && share(slow) / slow_call_rate > share(failures) / failure_rate;
  const [part, limit, word] = bySlow ? [slow, slow_call_rate, "slow"] : [failures, failure_rate, "failed"];
  const enough = calls >= min_calls;
  return {
    label: `${percent(share(part))} ${word} of ${count(calls)} ${calls === 1 ? "call" : "calls"}`,
    value: enough ? `opens at ${percent(limit)}` : `judged from ${count(min_calls)}`,
    fill: share(part),
    near: enough && share(part) >= limit / 2,
    mark: limit,
  };
}

/** All keys of a name. */
export class GroupCard {
  #pill = element("span", { class: "pill" });
  #why = element("p", { class: "why" });
  #parts = element("div", { class: "parts", "aria-hidden": "true" });
  #legend = element("div", { class: "legend" });
  #keys = element("div", { class: "keys" });
  #counts = ["successes", "failures", "rejections"].map((key) => ({ key, total: element("span"), rate: element("small") }));
  #open;
  entry;

  constructor(entry, open) {
    this.#open = open;
    this.name = element("span", { class: "text" }, entry.name);
    const words = { successes: "Succeeded", failures: "Failed", rejections: "Rejected" };
    const counts = element("dl", { class: "counts" }, ...this.#counts.map(({ key, total, rate }) =>
      element("div", {}, element("dt", {}, words[key]), element("dd", {}, total, rate))));
    this.node = element("li", { class: "card group" },
      element("header", {}, element("h3", {}, this.name), this.#pill), this.#why, this.#parts, this.#legend, counts, this.#keys);
  }

  /** `keys` are the entries of those that need looking at, the worst first. */
  update(entry, keys) {
    this.entry = entry;
    const counts = Object.fromEntries(ORDER.map((state) => [state, entry[state.replace("-", "_")]]));
    const worst = ORDER.find((state) => counts[state] > 0) ?? "closed";
    this.node.dataset.state = worst;
    this.#pill.replaceChildren(icon(worst), worst === "closed" ? "All closed" : `${counts[worst]} ${STATES[worst].word.toLowerCase()}`);
    setText(this.#why, `For each key: ${count(entry.keys)} of at most ${count(entry.max_keys)}`);
    this.#parts.replaceChildren(...ORDER.filter((state) => counts[state]).map((state) => {
      const part = element("i", { "data-state": state });
      part.style.flex = `${counts[state]} 0 3px`;
      return part;
    }));
    this.#legend.replaceChildren(...ORDER.filter((state) => counts[state]).map((state) =>
      element("span", { "data-state": state }, icon(state), `${count(counts[state])} ${STATES[state].word.toLowerCase()}`)));
    for (const { key, total } of this.#counts) setText(total, count(entry[key]));
    const troubled = keys.filter(({ state, failures, rejections }) => state !== "closed" || failures + rejections > 0);
    this.#list(troubled.slice(0, KEYS_SHOWN));
    this.node.classList.toggle("tall", troubled.length > KEYS_LOW);
  }

  /** Rows stay what they are as long as the keys do, so that a focus is not lost. */
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
      setText(row.children[2], STATES[key.state]?.word ?? key.state);
      setText(row.children[3], key.rejections ? `${count(key.rejections)} rej.` : "");
    });
    rows.slice(keys.length).forEach((row) => row.remove());
  }

  tick() {}

  rates(perSecond) {
    for (const { key, rate: node } of this.#counts) setText(node, rate(perSecond[key]));
  }
}
