// Filters by condition, the search, the order, and the choice between cards and table.

import { STATE_NAMES, STATES, count, counted, element, icon, setText } from "./format.js";
import { SORTS } from "./order.js";
import { storage } from "./view.js";

/** The conditions whose filters are always shown; the others are shown while a breaker has them. */
const ALWAYS = new Set(["open", "half-open", "closed"]);

export class Toolbar {
  #parts;
  #view;
  #onChange;
  #filters = new Map();
  /** The number of breakers and keys in each condition; `null` before it is known. */
  #counts = null;

  /**
   * @param {{filters, search, sort, views, matches, empty, clear}} parts elements of the page
   * @param {import("./view.js").View} view
   * @param {() => void} onChange the view has changed
   */
  constructor(parts, view, onChange) {
    this.#parts = parts;
    this.#view = view;
    this.#onChange = onChange;
    for (const state of STATE_NAMES) this.#addFilter(state);
    for (const [by, { label }] of Object.entries(SORTS)) parts.sort.append(element("option", { value: by }, label));
    parts.sort.addEventListener("change", () => this.#change(() => Object.assign(view, { by: parts.sort.value, reversed: false })));
    parts.search.addEventListener("input", () => this.#change(() => (view.search = parts.search.value.trim().toLowerCase())));
    parts.clear.addEventListener("click", () => {
      this.#change(() => Object.assign(view, { search: "", states: new Set() }));
      this.show();
      parts.search.focus();
    });
    parts.views.addEventListener("click", () => this.#change(() => {
      view.table = !view.table;
      storage.set("view", view.table ? "table" : "cards");
    }));
    document.addEventListener("keydown", (event) => {
      const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
      if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || typing || document.querySelector("dialog[open]")) return;
      event.preventDefault();
      parts.search.focus();
      parts.search.select();
    });
    this.show();
    this.counts(null);
  }

  /** Shows the filters and the order of the view. */
  show() {
    const { search, sort, views } = this.#parts;
    const { table, by, states } = this.#view;
    if (search.value.trim().toLowerCase() !== this.#view.search) search.value = this.#view.search;
    sort.value = by;
    views.setAttribute("aria-pressed", String(table));
    for (const [state, { button }] of this.#filters) button.setAttribute("aria-pressed", String(states.has(state)));
  }

  /** Shows the number of breakers in each condition; `counts` is null before it is known. */
  counts(counts) {
    this.#counts = counts;
    for (const [state, { button, number }] of this.#filters) {
      const known = counts?.[state] ?? 0;
      setText(number, counts ? count(known) : "–");
      button.classList.toggle("nonzero", known > 0);
      button.hidden = !known && !ALWAYS.has(state) && !this.#view.states.has(state);
    }
  }

  /**
   * Shows how many rows are listed.
   * @param {{breakers: number, groups: number}} shown
   * @param {{breakers: number, groups: number, keys: number, known: boolean, inState: Object<string, number>}} all `inState`: breakers without keys
   * @param {number | null} keys the number of keys in the chosen conditions
   */
  matches(shown, all, keys) {
    const { matches, empty } = this.#parts;
    const filtered = this.#view.states.size > 0 || this.#view.search !== "";
    const of = (part, whole, noun) => (filtered ? `${count(part)} of ${counted(whole, noun)}` : counted(whole, noun));
    const texts = [of(shown.breakers, all.breakers, "breaker")];
    if (all.groups && filtered) texts.push(`${of(shown.groups, all.groups, "group")}${keys == null ? "" : `: ${count(keys)} of ${counted(all.keys, "key")}`}`);
    else if (all.groups) texts.push(`${counted(all.keys, "key")} in ${counted(all.groups, "group")}`);
    setText(matches, all.known ? texts.join(" · ") : "");
    for (const [state, { button }] of this.#filters) {
      const breakers = all.inState[state] ?? 0;
      button.title = this.#counts ? `${counted(breakers, "breaker")}, ${counted(Math.max(0, (this.#counts[state] ?? 0) - breakers), "key")}` : "";
    }
    empty.hidden = !all.known || !filtered || shown.breakers + shown.groups > 0;
  }

  #addFilter(state) {
    const number = element("b", {}, "–");
    const button = element("button", { "type": "button", "class": "state-filter", "data-state": state, "aria-pressed": "false" },
      icon(state), number, STATES[state].label.toLowerCase());
    button.addEventListener("click", () => this.#change(() => {
      const { states } = this.#view;
      if (!states.delete(state)) states.add(state);
    }));
    this.#filters.set(state, { button, number });
    this.#parts.filters.append(button);
  }

  #change(apply) {
    apply();
    this.show();
    this.#onChange();
  }
}
