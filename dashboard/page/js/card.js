// The card of a breaker, and the card of all breakers with the same name and different keys. A card is built once and then changed in place.

import { Callers } from "./callers.js";
import { STATES, count, counted, element, escaped, icon, keyText, measured, rate, setAttribute, setText, shortened, stateLabel } from "./format.js";
import { callRate, circuits, circuitsText, failureText, groupCounts, worst } from "./figures.js";
import { headline } from "./headline.js";
import { Strip } from "./strip.js";

const UNKNOWN = "–";
/** The maximum number of keys on a card. */
const MAX_KEYS = 4;
let cards = 0;

/** A list of figures with labels: `update` takes a text for each label. */
class Figures {
  #labels;
  #values;
  node;

  constructor(labels) {
    this.#labels = labels.map((label) => element("dt", {}, label));
    this.#values = labels.map(() => element("dd"));
    this.node = element("dl", { class: "figures" }, ...labels.map((_, index) => element("div", {}, this.#labels[index], this.#values[index])));
  }

  update(texts) {
    texts.forEach((text, index) => setText(this.#values[index], text));
  }

  label(index, text) {
    setText(this.#labels[index], text);
  }
}

/** Returns the figures of the last minute: the share of failures among the calls that were made, p99, calls, rejections. */
function figureTexts(row) {
  const { last_minute: minute } = row;
  const perSecond = callRate(row);
  return [
    failureText(row) || UNKNOWN,
    minute?.p99 == null ? UNKNOWN : measured(minute.p99),
    perSecond == null ? UNKNOWN : rate(perSecond) || "0",
    minute ? rate((minute.rejections ?? 0) / Math.max(minute.seconds ?? 60, 1)) || "0" : UNKNOWN,
  ];
}

/** The parts that all cards have. */
class Card {
  #pill = element("span", { class: "pill" });
  #head = element("p", { class: "head" });
  #shown = "";
  row;

  constructor(row, ctx, ...content) {
    this.row = row;
    this.ctx = ctx;
    const id = `card-${++cards}`;
    this.#pill.id = `${id}-condition`;
    this.#head.id = `${id}-head`;
    // Screen readers read the condition and the first line after the name.
    const name = element("button", { type: "button", class: row.name.length > 22 ? "name long" : "name", "aria-describedby": `${this.#pill.id} ${this.#head.id}`, title: escaped(row.name) }, row.name);
    name.addEventListener("click", () => ctx.open(this.row.id));
    this.node = element("li", { class: "card" }, element("header", {}, element("h3", {}, name), this.#pill), this.#head, ...content);
  }

  show(condition, label) {
    setAttribute(this.node, "data-state", condition);
    if (this.#shown === `${condition} ${label}`) return;
    this.#shown = `${condition} ${label}`;
    this.#pill.replaceChildren(icon(condition), label);
  }

  head(text) {
    setText(this.#head, text);
  }

  /** Marks a row that is not listed any more while the list stands still. */
  mark(gone) {
    this.node.classList.toggle("gone", Boolean(gone));
  }
}

export class BreakerCard extends Card {
  #why = element("p", { class: "why" });
  #next = element("p", { class: "next" });
  #figures = new Figures(["Failing", "p99", "Calls", "Rejected"]);
  #callers = new Callers();
  #strip = new Strip();

  constructor(row, ctx) {
    super(row, ctx);
    this.node.append(this.#why, this.#next, this.#figures.node, this.#callers.node, this.#strip.node);
  }

  update(row, now) {
    this.row = row;
    this.show(row.condition, stateLabel(row.condition));
    this.mark(row.gone);
    const { in_flight: inFlight } = row;
    const showsInFlight = (row.hung != null || inFlight != null) && row.condition !== "open";
    const texts = figureTexts(row);
    this.#figures.label(3, showsInFlight ? "In flight" : "Rejected");
    this.#figures.update(showsInFlight ? texts.with(3, count(inFlight ?? 0)) : texts);
    this.#callers.update(row);
    this.history(this.ctx.histories.get(row.id));
    this.tick(now);
  }

  /** Updates the parts that depend on the time. */
  tick(now) {
    const { head, why, next } = headline(this.row, now);
    const quiet = this.row.condition === "closed";
    // What is cut off if the card is narrow is the less important part.
    this.head(quiet && next ? `${next} · ${head.toLowerCase()}` : head);
    setText(this.#why, why);
    setText(this.#next, quiet ? "" : next);
    this.#strip.move(now);
  }

  history(history) {
    if (history) this.#strip.draw(history, this.row);
  }
}

/** Returns the reason and the end of the override of the listed keys, if all that are overridden have the same reason. */
function overrideText(listed, now) {
  const [first, ...others] = listed.filter(({ state }) => state === "forced-open" || state === "disabled");
  if (!first || !others.length || others.some(({ operator_reason: reason }) => reason !== first.operator_reason)) return "";
  const { why, next } = headline(first, now);
  return `${why} · ${next}`;
}

/** The card of all breakers with the same name and different keys. */
export class GroupCard extends Card {
  #why = element("p", { class: "why" });
  #bar = element("div", { class: "state-bar", "aria-hidden": "true" });
  #legend = element("p", { class: "legend" });
  #keys = element("div", { class: "keys" });
  #figures = new Figures(["Failing", "p99", "Calls", "Rejected"]);
  #more = element("button", { type: "button", class: "link more" });
  #drawn = "";

  constructor(row, ctx) {
    super(row, ctx);
    this.#more.addEventListener("click", () => ctx.open(this.row.id));
    this.node.classList.add("group");
    this.node.append(this.#why, this.#bar, this.#legend, this.#figures.node, this.#keys, this.#more);
  }

  update(row, now) {
    this.row = row;
    this.mark(row.gone);
    const listed = this.ctx.keysOf(row.name);
    const counts = groupCounts(row, listed);
    const present = Object.keys(counts).filter((name) => counts[name] > 0);
    const condition = worst(counts);
    const keys = row.keys ?? 0;
    setText(this.#why, overrideText(listed, now));
    this.#why.hidden = !this.#why.textContent;
    const all = counts[condition] === circuits(row);
    const size = circuitsText(row);
    this.show(condition, condition === "closed" ? "Closed" : `${count(counts[condition])} ${stateLabel(condition).toLowerCase()}`);
    this.head(!keys ? "No keys yet" : `${all ? (size === "1 key" ? "The only key is" : `All ${size} are`) : `${count(counts[condition])} of ${size} ${counts[condition] === 1 ? "is" : "are"}`} ${stateLabel(condition).toLowerCase()}`);
    this.#drawStates(present, counts);
    this.#figures.update(figureTexts(row));
    const found = this.ctx.foundKeys(row.name);
    const shown = found?.matches ? found.keys : listed.filter((key) => key.condition !== "closed");
    this.#list(this.#why.hidden ? shown : shown.slice(0, MAX_KEYS / 2));
    setText(this.#more, found?.matches ? `${counted(found.matches, "key")} found: show` : `Search ${counted(keys, "key")}`);
    this.#more.hidden = !keys;
  }

  tick() {}

  history() {}

  #drawStates(present, counts) {
    const drawn = present.map((name) => `${name} ${counts[name]}`).join();
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    this.#bar.replaceChildren(...present.map((name) => {
      const part = element("i", { "data-state": name });
      part.style.flex = `${counts[name]} 0 3px`;
      return part;
    }));
    this.#legend.replaceChildren(...present.map((name, index) =>
      element("span", { "data-state": name }, icon(name), `${index ? count(counts[name]) : counted(counts[name], "key")} ${STATES[name].label.toLowerCase()}`)));
  }

  /** Updates the rows in place, so that the focus is kept. */
  #list(keys) {
    const rows = [...this.#keys.children];
    keys.slice(0, MAX_KEYS).forEach((key, index) => {
      let row = rows[index];
      if (!row) {
        row = element("button", { type: "button", class: "key" }, element("i"), element("span"), element("em"));
        row.addEventListener("click", () => this.ctx.open(row.dataset.id));
        this.#keys.append(row);
      }
      setAttribute(row, "data-id", key.id);
      if (row.dataset.state !== key.condition) {
        row.dataset.state = key.condition;
        row.firstChild.replaceWith(icon(key.condition));
      }
      row.classList.toggle("overflow", Boolean(key.overflow));
      setText(row.children[1], shortened(keyText(key), 34));
      setAttribute(row, "title", escaped(keyText(key)));
      setText(row.children[2], stateLabel(key.condition));
    });
    rows.slice(MAX_KEYS).concat(rows.slice(keys.length)).forEach((row) => row.remove());
  }
}
