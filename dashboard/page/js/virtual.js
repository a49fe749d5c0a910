// A list of which only the part that is seen, and a margin, is in the document. Each item is placed at its position; the document has the
// items in the same order.

/** The part above and below the window that is in the document, in pixels. */
const MARGIN = 500;

/**
 * @typedef {object} View the node of a row
 * @property {HTMLElement} node
 * @property {object} row
 * @property {(row: object, now: number) => void} update
 * @property {(now: number) => void} tick
 */

export class VirtualList {
  #container;
  #create;
  #layout;
  #now;
  /** @type {Map<string, View>} */
  #views = new Map();
  #rows = [];
  #columns = 1;
  #gap = 0;
  #width = 0;
  /** The top of each line of items, and the end of the last one. */
  #tops = [0];
  #drawn = "";

  /**
   * @param {HTMLElement} container the parent of the items, with `position: relative`
   * @param {(row: object) => View} create
   * @param {() => {columns: number, gap: number, height: (row: object) => number}} layout
   * @param {() => number} now
   */
  constructor(container, create, layout, now) {
    this.#container = container;
    this.#create = create;
    this.#layout = layout;
    this.#now = now;
  }

  get rows() {
    return this.#rows;
  }

  /** The ids of the rows in the document. */
  get visible() {
    return this.#views.keys();
  }

  view(id) {
    return this.#views.get(id);
  }

  get views() {
    return this.#views.values();
  }

  /** Shows rows in this order. */
  show(rows) {
    this.#rows = rows;
    this.measure();
  }

  /** Computes the positions of all rows: after their order, a height or the width has changed. */
  measure() {
    const { columns, gap, height } = this.#layout();
    this.#columns = columns;
    this.#gap = gap;
    this.#width = (this.#container.clientWidth - gap * (columns - 1)) / columns;
    const tops = [0];
    for (let first = 0; first < this.#rows.length; first += columns) {
      let tallest = 0;
      for (let index = first; index < Math.min(first + columns, this.#rows.length); index += 1) tallest = Math.max(tallest, height(this.#rows[index]));
      tops.push(tops.at(-1) + tallest + gap);
    }
    this.#tops = tops;
    this.#container.style.height = `${Math.max(0, tops.at(-1) - gap)}px`;
    this.#drawn = "";
    this.render();
  }

  /** Puts the rows that are seen into the document. @returns {string[]} the ids of those that were not there before */
  render() {
    const top = -this.#container.getBoundingClientRect().top;
    const first = this.#lineAt(top - MARGIN);
    const last = this.#lineAt(top + window.innerHeight + MARGIN) + 1;
    const drawn = `${first} ${last}`;
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    const focused = document.activeElement;
    const indexes = [];
    for (let index = first * this.#columns; index < Math.min(last * this.#columns, this.#rows.length); index += 1) indexes.push(index);
    // The focus stays on a row that has been scrolled out of sight.
    const kept = this.#rows.findIndex(({ id }) => this.#views.get(id)?.node.contains(focused));
    if (kept >= 0 && !indexes.includes(kept)) indexes.push(kept);
    indexes.sort((one, other) => one - other);
    this.#place(indexes);
    // Moving a node in the document takes the focus from it.
    if (focused !== document.activeElement && focused?.isConnected) focused.focus({ preventScroll: true });
  }

  #place(indexes) {
    const ids = new Set(indexes.map((index) => this.#rows[index].id));
    for (const [id, { node }] of this.#views) {
      if (ids.has(id)) continue;
      node.remove();
      this.#views.delete(id);
    }
    let cursor = this.#container.firstChild;
    for (const index of indexes) {
      const row = this.#rows[index];
      let view = this.#views.get(row.id);
      if (!view) {
        view = this.#create(row);
        this.#views.set(row.id, view);
        view.update(row, this.#now());
      } else if (view.row !== row) view.update(row, this.#now());
      if (view.node === cursor) cursor = cursor.nextSibling;
      else this.#container.insertBefore(view.node, cursor);
      this.#position(view, index);
    }
  }

  #position(view, index) {
    const line = Math.floor(index / this.#columns);
    const { style } = view.node;
    const left = `${((index % this.#columns) * (this.#width + this.#gap)).toFixed(1)}px`;
    const values = { top: `${this.#tops[line]}px`, left, width: `${this.#width.toFixed(1)}px`, height: `${this.#tops[line + 1] - this.#tops[line] - this.#gap}px` };
    for (const [name, value] of Object.entries(values)) {
      if (view[name] === value) continue;
      view[name] = value;
      style[name] = value;
    }
    if (view.index === index) return;
    view.index = index;
    view.placed?.(index);
  }

  /** Returns the line of items at a height, by bisection. */
  #lineAt(height) {
    let low = 0;
    let high = this.#tops.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#tops[middle + 1] <= height) low = middle + 1;
      else high = middle;
    }
    return Math.max(0, low);
  }
}
