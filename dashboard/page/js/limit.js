// What may be at most: rate limits and bulkheads. Their cards stand below those of the breakers.

import { LOADS, count, element, escaped, icon, keyText, rate, setText, span } from "./format.js";

/** Keys on a card: those that reject most. */
const KEYS_SHOWN = 3;
const WORDS = { admitted: "Admitted", rejected: "Rejected" };

/** How much of what may be there is; a limit that nobody has declared lets everything through. */
const share = (used, most) => (most > 0 ? used / most : 0);
const level = (used, most) => (most > 0 && used >= most ? "full" : "free");
const queue = (waiting) => (waiting ? ` · ${count(waiting)} waiting` : "");
const rule = ({ limit, per }) => (limit ? `${count(limit)} ${limit === 1 ? "call" : "calls"} in ${duration(per)}` : "No limit is declared");

/** A window may be shorter than a second. */
const duration = (seconds) => (seconds < 1 ? `${Number((seconds * 1000).toPrecision(3))} ms` : span(seconds));

/** What a card says of an entry, by its kind. */
const KINDS = {
  rate_limit: (entry) => {
    const { limit, in_window: used, waiting } = entry;
    return { what: "Rate limit", why: rule(entry) + queue(waiting), load: level(used, limit), word: limit && used >= limit ? "At its limit" : "Free",
      label: "Used now", value: limit ? `${count(used)} of ${count(limit)}` : "", fill: share(used, limit) };
  },
  rate_limit_group: (entry) => {
    const { keys, max_keys, reached, most_rejected } = entry;
    return { what: "Rate limit", why: `${rule(entry)}, for each of ${count(keys)} ${keys === 1 ? "key" : "keys"}`, load: reached ? "full" : "free",
      word: reached ? `${count(reached)} at the limit` : "Free", label: "Keys at their limit", value: `${count(reached)} of ${count(Math.max(keys, reached))}`,
      fill: share(reached, keys), title: `At most ${count(max_keys)} keys`, keys: most_rejected.slice(0, KEYS_SHOWN) };
  },
  bulkhead: (entry) => {
    const { max_concurrent: most, in_flight: used, waiting } = entry;
    return { what: "Bulkhead", why: `At most ${count(most)} at once${queue(waiting)}`, load: level(used, most), word: used >= most ? "Full" : "Free",
      label: "In flight", value: `${count(used)} of ${count(most)}`, fill: share(used, most) };
  },
};

export const isLimit = (entry) => entry.kind in KINDS;

class LimitCard {
  #kind = element("p", { class: "kind" });
  #why = element("p", { class: "why" });
  #pill = element("span", { class: "pill" });
  #label = element("span");
  #value = element("b");
  #fill = element("i");
  #counts = Object.keys(WORDS).map((key) => ({ key, total: element("span"), rate: element("small") }));
  #keys = element("ul", { class: "keys" });
  #shown = "";

  constructor(entry) {
    const gauge = element("div", { class: "gauge" }, element("div", {}, this.#label, this.#value),
      element("div", { class: "track", "aria-hidden": "true" }, this.#fill));
    const counts = element("dl", { class: "counts" }, ...this.#counts.map(({ key, total, rate }) =>
      element("div", {}, element("dt", {}, WORDS[key]), element("dd", {}, total, rate))));
    this.node = element("li", { class: "card limit" },
      element("header", {}, element("div", {}, this.#kind, element("h3", {}, entry.name)), this.#pill), this.#why, gauge, counts, this.#keys);
  }

  update(entry) {
    const { what, why, load, word, label, value, fill, title = "", keys = [] } = KINDS[entry.kind](entry);
    if (this.#shown !== load + word) {
      this.#shown = load + word;
      this.node.dataset.state = load;
      this.#pill.replaceChildren(icon(load), word);
    }
    setText(this.#kind, what);
    setText(this.#why, why);
    this.#why.title = title;
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
      const load = level(limit.in_window + limit.waiting, limit.limit);
      return element("li", { class: limit.overflow ? "key overflow" : "key", "data-state": load }, icon(load),
        element("span", { title: escaped(keyText(limit)) }, keyText(limit)),
        element("em", {}, LOADS[load].word), element("small", {}, `${count(limit.rejected)} rej.`));
    });
    this.#keys.replaceChildren(...rows);
    this.#keys.hidden = !rows.length;
  }
}

/** The list of them. */
export class Limits {
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

  /** Shows those of `entries` that `matches` is true of, in the order of `compare`. */
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

  /** How fast the counts have risen in the last `past` seconds. */
  sample(entries, at, past) {
    for (const [id, card] of this.#cards) {
      const { admitted, rejected } = entries.get(id);
      const samples = this.#samples.get(id) ?? [];
      samples.push({ at, admitted, rejected });
      while (samples.length > 1 && samples[0].at < at - past - 0.5) samples.shift();
      this.#samples.set(id, samples);
      const [first] = samples;
      const per = (now, before) => (at - first.at > 0.5 ? Math.max(0, now - before) / (at - first.at) : 0);
      card.rates({ admitted: per(admitted, first.admitted), rejected: per(rejected, first.rejected) });
    }
  }
}
