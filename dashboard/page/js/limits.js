// The cards of rate limits and bulkheads, listed below those of the breakers.

import { LOADS, count, counted, duration, element, escaped, icon, keyText, rate, setText } from "./format.js";

/** The maximum number of keys on a card, which lists those with the most rejections. */
const MAX_KEYS = 3;
const COUNT_LABELS = { admitted: "Admitted", rejected: "Rejected" };

/** The used share of the capacity. A limit without a declaration has capacity 0 and admits everything. */
const share = (used, capacity) => (capacity > 0 ? used / capacity : 0);
const load = (used, capacity) => (capacity > 0 && used >= capacity ? "full" : "free");
const queue = (waiting) => (waiting ? ` · ${count(waiting)} waiting` : "");
const rule = ({ limit, per }) => (limit ? `${counted(limit, "call")} per ${period(per)}` : "No limit declared");

/** Formats a duration that may be shorter than a second. */
const period = (seconds) => (seconds < 1 ? `${Number((seconds * 1000).toPrecision(3))} ms` : duration(seconds));

/** The texts and the fill of a card, by the kind of the entry. */
const KINDS = {
  rate_limit: (entry) => {
    const { limit, burst, in_window: used, waiting } = entry;
    const capacity = burst ?? limit;
    return { type: "Rate limit", summary: rule(entry) + queue(waiting), load: load(used, capacity), pill: limit && used >= capacity ? "At its limit" : "Free",
      label: burst ? "Burst in use" : "In use", value: limit ? `${count(used)} of ${count(capacity)}` : "", fill: share(used, capacity) };
  },
  rate_limit_group: (entry) => {
    const { keys, max_keys, reached, most_rejected } = entry;
    return { type: "Rate limit", summary: `${rule(entry)} for each of ${counted(keys, "key")}`, load: reached ? "full" : "free",
      pill: reached ? `${count(reached)} at the limit` : "Free", label: "Keys at their limit", value: `${count(reached)} of ${count(Math.max(keys, reached))}`,
      fill: share(reached, keys), tooltip: `At most ${counted(max_keys, "key")}`,
      keys: most_rejected.slice(0, MAX_KEYS).map((of_key) => ({ ...of_key, used: of_key.in_window, capacity: of_key.burst ?? of_key.limit })) };
  },
  bulkhead: (entry) => {
    const { max_concurrent: capacity, in_flight: used, waiting } = entry;
    return { type: "Bulkhead", summary: `At most ${counted(capacity, "concurrent call")}${queue(waiting)}`, load: load(used, capacity), pill: used >= capacity ? "Full" : "Free",
      label: "In flight", value: `${count(used)} of ${count(capacity)}`, fill: share(used, capacity) };
  },
  bulkhead_group: (entry) => {
    const { keys, max_keys, full, max_concurrent, waiting, most_rejected } = entry;
    return { type: "Bulkhead", summary: `At most ${counted(max_concurrent, "concurrent call")} for each of ${counted(keys, "key")}${queue(waiting)}`,
      load: full ? "full" : "free", pill: full ? `${count(full)} full` : "Free", label: "Full keys", value: `${count(full)} of ${count(Math.max(keys, full))}`,
      fill: share(full, keys), tooltip: `At most ${counted(max_keys, "key")}`,
      keys: most_rejected.slice(0, MAX_KEYS).map((of_key) => ({ ...of_key, used: of_key.in_flight, capacity: of_key.max_concurrent })) };
  },
};

export const isLimit = (entry) => entry.kind in KINDS;

class LimitCard {
  #type = element("p", { class: "kind" });
  #summary = element("p", { class: "summary" });
  #pill = element("span", { class: "pill" });
  #label = element("span");
  #value = element("b");
  #fill = element("i");
  #counts = Object.keys(COUNT_LABELS).map((key) => ({ key, total: element("span"), rate: element("small") }));
  #keys = element("ul", { class: "keys" });
  #shownPill = "";

  constructor(entry) {
    const gauge = element("div", { class: "gauge" }, element("div", {}, this.#label, this.#value),
      element("div", { class: "track", "aria-hidden": "true" }, this.#fill));
    const counts = element("dl", { class: "counts" }, ...this.#counts.map(({ key, total, rate }) =>
      element("div", {}, element("dt", {}, COUNT_LABELS[key]), element("dd", {}, total, rate))));
    this.node = element("li", { class: "card limit" },
      element("header", {}, element("div", {}, this.#type, element("h3", {}, entry.name)), this.#pill), this.#summary, gauge, counts, this.#keys);
  }

  update(entry) {
    const { type, summary, load, pill, label, value, fill, tooltip = "", keys = [] } = KINDS[entry.kind](entry);
    if (this.#shownPill !== load + pill) {
      this.#shownPill = load + pill;
      this.node.dataset.state = load;
      this.#pill.replaceChildren(icon(load), pill);
    }
    setText(this.#type, type);
    setText(this.#summary, summary);
    this.#summary.title = tooltip;
    setText(this.#label, label);
    setText(this.#value, value);
    this.#fill.style.width = `${(Math.min(fill, 1) * 100).toFixed(1)}%`;
    for (const { key, total } of this.#counts) setText(total, count(entry[key]));
    this.#list(keys);
  }

  rates(perSecond) {
    for (const { key, rate: node } of this.#counts) setText(node, rate(perSecond[key]));
  }

  #list(keys) {
    const rows = keys.map((limit) => {
      const state = load(limit.used + limit.waiting, limit.capacity);
      return element("li", { class: limit.overflow ? "key overflow" : "key", "data-state": state }, icon(state),
        element("span", { title: escaped(keyText(limit)) }, keyText(limit)),
        element("em", {}, LOADS[state].label), element("small", {}, `${count(limit.rejected)} rej.`));
    });
    this.#keys.replaceChildren(...rows);
    this.#keys.hidden = !rows.length;
  }
}

/** The section of rate limits and bulkheads. */
export class LimitSection {
  #section;
  #list;
  #cards = new Map();
  #samples = new Map();

  constructor(section, list) {
    this.#section = section;
    this.#list = list;
  }

  update(entry) {
    if (!this.#cards.has(entry.id)) this.#cards.set(entry.id, new LimitCard(entry));
    this.#cards.get(entry.id).update(entry);
  }

  remove(id) {
    this.#cards.get(id)?.node.remove();
    this.#cards.delete(id);
    this.#samples.delete(id);
  }

  /** Shows the cards of the entries that satisfy `matches`, ordered by `compare`. */
  arrange(entries, matches, compare) {
    const shown = entries.filter((entry) => this.#cards.has(entry.id) && matches(entry)).sort(compare);
    const nodes = shown.map(({ id }) => this.#cards.get(id).node);
    const keep = new Set(nodes);
    for (const node of [...this.#list.children]) if (!keep.has(node)) node.remove();
    nodes.forEach((node, index) => {
      if (this.#list.children[index] !== node) this.#list.insertBefore(node, this.#list.children[index] ?? null);
    });
    this.#section.hidden = !shown.length;
  }

  /** Updates the rates, measured over the last `period` seconds. */
  sample(entries, at, period) {
    for (const [id, card] of this.#cards) {
      const { admitted, rejected } = entries.get(id);
      const samples = this.#samples.get(id) ?? [];
      samples.push({ at, admitted, rejected });
      while (samples.length > 1 && samples[0].at < at - period - 0.5) samples.shift();
      this.#samples.set(id, samples);
      const [first] = samples;
      const perSecond = (now, before) => (at - first.at > 0.5 ? Math.max(0, now - before) / (at - first.at) : 0);
      card.rates({ admitted: perSecond(admitted, first.admitted), rejected: perSecond(rejected, first.rejected) });
    }
  }
}
