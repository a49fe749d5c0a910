// The search among all keys of a group. The server searches, so that every key is found, not only those that are listed.

import { STATE_NAMES, count, counted, duration, element, escaped, keyText, setText, stateLabel } from "./format.js";
import { limitKey } from "./limits.js";
import { rowIcon } from "./section.js";

/** The number of keys at first, and with each "Show more". */
const [FEW, MORE, MOST] = [15, 50, 200];
const TYPING_PAUSE = 200;

export class KeySearch {
  #ctx;
  #kind;
  #name;
  #open;
  #search = element("input", { type: "search", autocomplete: "off", spellcheck: "false", placeholder: "part of a key" });
  #state = element("select", {}, element("option", { value: "" }, "in any condition"), ...STATE_NAMES.map((state) => element("option", { value: state }, stateLabel(state).toLowerCase())));
  #found = element("p", { class: "note", role: "status" });
  #list = element("ul", { class: "key-list" });
  #more = element("button", { type: "button", class: "link" }, "Show more");
  #limit = FEW;
  #typing = 0;
  /** The number of the latest request; answers of earlier ones are ignored. */
  #latest = 0;
  /** True until the first answer: the text that the page searches for may be that of a name, and then finds no key. */
  #isFirst = true;
  node;

  /** Creates the search among the keys of the group `name`; `kind` as in `/api/keys`. `open` shows the details of a key. */
  constructor(ctx, kind, name, open) {
    this.#ctx = ctx;
    this.#kind = kind;
    this.#name = name;
    this.#open = open;
    const isBreaker = kind === "breaker";
    this.node = element("section", { class: "key-search" }, element("h3", {}, "Keys"),
      element("div", { class: "fields" }, element("label", {}, "Find a key", this.#search), ...(isBreaker ? [element("label", {}, "Condition", this.#state)] : [])),
      this.#found, this.#list, this.#more);
    this.#search.value = ctx.search?.() ?? "";
    this.#search.addEventListener("input", () => {
      clearTimeout(this.#typing);
      this.#typing = setTimeout(() => this.refresh(), TYPING_PAUSE);
    });
    this.#state.addEventListener("change", () => this.refresh());
    this.#more.addEventListener("click", () => {
      this.#limit = Math.min(this.#limit + MORE, MOST);
      this.refresh();
    });
  }

  async refresh() {
    const request = ++this.#latest;
    const url = new URL("api/keys", this.#ctx.base);
    url.search = new URLSearchParams({ kind: this.#kind, name: this.#name, limit: this.#limit, search: this.#search.value.trim(), ...(this.#state.value ? { state: this.#state.value } : {}) });
    let answer;
    try {
      const response = await fetch(url, { headers: this.#ctx.headers(), signal: AbortSignal.timeout(5_000) });
      answer = response.ok ? await response.json() : null;
    } catch {
      answer = null;
    }
    if (request === this.#latest) this.#show(answer);
  }

  #show(answer) {
    if (!answer) return setText(this.#found, "The keys could not be loaded; trying again.");
    const { total, matches, keys } = answer;
    const findsNothing = this.#isFirst && !matches && this.#search.value;
    this.#isFirst = false;
    if (findsNothing) {
      this.#search.value = "";
      return this.refresh();
    }
    const shown = keys.length < matches ? `The first ${count(keys.length)} of ${count(matches)} found` : counted(matches, "key").replace(/ keys?$/, " found");
    // The overflow has a circuit and no key.
    const all = keys.some(({ overflow }) => overflow) ? `${count(total)} with the overflow` : counted(total, "key");
    setText(this.#found, `${shown}, of ${all}; the worst first.`);
    this.#more.hidden = keys.length >= matches || this.#limit >= MOST;
    while (this.#list.children.length > keys.length) this.#list.lastChild.remove();
    while (this.#list.children.length < keys.length) this.#list.append(this.#row());
    keys.forEach((entry, index) => this.#fill(this.#list.children[index], entry));
  }

  #row() {
    const parts = [element("i", { class: "item-icon" }), element("span", { class: "key-name" }), element("span", { class: "key-state" }), element("small")];
    if (this.#kind !== "breaker") return element("li", {}, element("div", { class: "key-row" }, ...parts));
    const button = element("button", { type: "button", class: "key-row" }, ...parts);
    button.addEventListener("click", () => this.#open(button.dataset.id));
    return element("li", {}, button);
  }

  /** Updates a row in place, so that the focus is kept. */
  #fill({ firstChild: row }, entry) {
    const { state, label, text } = this.#kind === "breaker" ? this.#breakerKey(entry) : limitKey(entry);
    row.dataset.id = entry.id ?? "";
    const [image, name, stateNode, small] = row.children;
    if (row.dataset.state !== state) {
      row.dataset.state = state;
      image.replaceChildren(rowIcon(state));
    }
    row.classList.toggle("overflow", Boolean(entry.overflow));
    setText(name, keyText(entry));
    name.title = escaped(keyText(entry));
    setText(stateNode, label);
    setText(small, text);
  }

  #breakerKey(entry) {
    const since = entry.outage?.since ?? (entry.condition === "closed" ? null : entry.since);
    const age = since ? `for ${duration(this.#ctx.now() - since)}` : "";
    const rejected = entry.rejections ? `${count(entry.rejections)} rejected` : "";
    return { state: entry.condition, label: stateLabel(entry.condition), text: [age, rejected].filter(Boolean).join(" · ") };
  }
}
