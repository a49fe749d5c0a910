// A list of compact rows, one for each entry of some kinds. A row opens the details of its entry.

import { element, escaped, icon, keyText, setText } from "./format.js";
import { ShareBar } from "./shares.js";

const names = new Intl.Collator(undefined, { numeric: true });

/** The icon of each state of a row. */
export const rowIcon = (state) => icon({ failing: "open", idle: "closed" }[state] ?? state);

class Row {
  /** The text by which the row is found. */
  text = "";
  #icon = element("span", { class: "item-icon" });
  #name = element("button", { type: "button", class: "item-name" });
  #label = element("span", { class: "hidden" });
  #value = element("span", { class: "item-value" });
  #caption = element("p", { class: "item-caption" });
  #fill = element("i");
  #gauge = element("div", { class: "item-gauge", "aria-hidden": "true" }, this.#fill);
  #bar = new ShareBar();
  #text = element("p", { class: "item-text" });
  node = element("li", { class: "item" },
    element("div", { class: "item-head" }, this.#icon, this.#name, this.#value), this.#caption, this.#gauge, this.#bar.node, this.#text);

  constructor({ id, name }, open) {
    // The visible label is the name; the condition follows it for screen readers.
    this.#name.append(element("span", {}, name), this.#label);
    this.#name.title = escaped(name);
    this.#name.addEventListener("click", () => open(id));
  }

  update({ state, label, caption, value = "", gauge = null, parts = [], text = "" }) {
    if (this.node.dataset.state !== state) {
      this.node.dataset.state = state;
      this.#icon.replaceChildren(rowIcon(state));
    }
    setText(this.#label, `: ${label}`);
    setText(this.#caption, caption);
    setText(this.#value, value);
    this.#gauge.hidden = gauge == null;
    if (gauge != null) this.#fill.style.width = `${(Math.min(gauge, 1) * 100).toFixed(1)}%`;
    this.#bar.update(parts);
    setText(this.#text, text);
    this.#text.hidden = !text;
  }
}

export class RowSection {
  #container;
  #ctx;
  #kinds;
  #list = element("ul", { class: "items" });
  #rows = new Map();
  #query = "";
  /** The ids of groups with a matching key that may not be listed. */
  #found = new Set();

  /** Fills `container`; `kinds` describes the entries, by `entry.kind`. */
  constructor(container, ctx, title, kinds) {
    this.#container = container;
    this.#ctx = ctx;
    this.#kinds = kinds;
    const heading = element("h2", { id: `${container.id}-title` }, title);
    container.setAttribute("aria-labelledby", heading.id);
    container.replaceChildren(heading, this.#list);
    container.hidden = true;
  }

  /** Updates the rows of the entries in `changed`, a set of ids; all rows if it is absent. */
  update(store, changed = new Set([...store.rows.keys(), ...this.#rows.keys()])) {
    let isNew = false;
    for (const id of changed) {
      const entry = store.rows.get(id);
      const kind = entry && this.#kinds[entry.kind];
      if (!kind) this.#remove(id);
      else {
        if (!this.#rows.has(id)) {
          this.#rows.set(id, { row: new Row(entry, (shown) => this.#ctx.open(shown)), name: entry.name });
          isNew = true;
        }
        const { row } = this.#rows.get(id);
        row.update(kind.row(entry));
        row.text = [entry.name, ...(entry.most_rejected ?? []).map(keyText)].join("\n").toLowerCase();
      }
    }
    if (isNew) this.#arrange();
    this.#filter();
  }

  /** Shows only the rows whose name or keys contain `text`. */
  search(text) {
    this.#query = text.trim().toLowerCase();
    this.#filter();
  }

  /** Shows the groups with these ids as well, because they have a key that matches the text. */
  found(ids) {
    this.#found = ids;
    this.#filter();
  }

  /** The rows hold no figure that depends on the time alone. */
  tick() {}

  #remove(id) {
    this.#rows.get(id)?.row.node.remove();
    this.#rows.delete(id);
  }

  /** Inserts new rows by name; the others keep their place, so that the focus is kept. */
  #arrange() {
    const sorted = [...this.#rows.values()].sort((one, other) => names.compare(one.name, other.name));
    sorted.forEach(({ row }, index) => {
      if (this.#list.children[index] !== row.node) this.#list.insertBefore(row.node, this.#list.children[index] ?? null);
    });
  }

  #filter() {
    let isEmpty = true;
    for (const [id, { row }] of this.#rows) {
      const matches = row.text.includes(this.#query) || this.#found.has(id);
      if (row.node.hidden === matches) row.node.hidden = !matches;
      isEmpty &&= !matches;
    }
    this.#container.hidden = isEmpty;
  }
}
