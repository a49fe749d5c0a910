// Links from the details of an entry to those of related entries: its group, its fallbacks, its breakers.

import { element, title } from "./format.js";

/** The number of links that are shown. */
const MOST = 8;

/** Returns the links of an entry: the label and the related entries. */
function linksOf(entry, store) {
  const rows = [...store.rows.values()];
  switch (entry.kind) {
    case "key":
      return ["All keys:", rows.filter(({ kind, name }) => kind === "group" && name === entry.name)];
    case "breaker":
    case "group":
      return ["Functions with a fallback:", rows.filter(({ kind, breakers }) => kind === "fallback" && breakers?.includes(entry.name))];
    case "fallback":
      return ["Breakers:", rows.filter(({ kind, name }) => (kind === "breaker" || kind === "group") && entry.breakers?.includes(name))];
    default:
      return ["", []];
  }
}

export class RelatedLinks {
  #store;
  #open;
  #shown = "";
  node = element("p", { class: "related", hidden: true });

  constructor(store, open) {
    this.#store = store;
    this.#open = open;
  }

  /** Updates the links, if rows were added or removed since. */
  update(entry) {
    const shown = `${this.#store.rows.size} ${entry.id}`;
    if (shown === this.#shown) return;
    this.#shown = shown;
    const [label, found] = linksOf(entry, this.#store);
    this.node.hidden = !found.length;
    this.node.replaceChildren(label, ...found.slice(0, MOST).flatMap((row) => [" ", this.#link(row)]));
  }

  #link(row) {
    const link = element("button", { type: "button", class: "link" }, title(row));
    link.addEventListener("click", () => this.#open(row.id));
    return link;
  }
}
