// The table: its header, by which it is sorted, and the row of a breaker, of a group or of a key.

import { Callers } from "./callers.js";
import { clock, count, counted, element, escaped, icon, keyText, measured, rate, roughly, setText, shortened, stateLabel, title } from "./format.js";
import { callRate, failureText, groupCounts, worst } from "./figures.js";

const UNKNOWN = "–";

/** The columns: the order that a click on the header chooses, and the label. */
const COLUMNS = [
  ["severity", "Condition"], ["name", "Name"], ["down", "Down"], ["failures", "Failing"], ["calls", "Calls"],
  ["p99", "p99"], ["callers", "Callers got"], ["rejections", "Rejected"], ["changed", "Last change"],
];

/** The header of the table. */
export class TableHeader {
  #cells = new Map();

  /** @param {(by: string, reversed: boolean) => void} onSort */
  constructor(row, onSort) {
    for (const [by, label] of COLUMNS) {
      const button = element("button", { type: "button" }, label, element("i", { "aria-hidden": "true" }));
      const cell = element("th", { "role": "columnheader", "scope": "col", "class": `c-${by}` }, button);
      button.addEventListener("click", () => onSort(by, cell.getAttribute("aria-sort") === first(by)));
      this.#cells.set(by, cell);
      row.append(cell);
    }
  }

  /** Marks the column by which the table is sorted. */
  show(by, reversed) {
    for (const [name, cell] of this.#cells) {
      if (name !== by) cell.removeAttribute("aria-sort");
      else cell.setAttribute("aria-sort", reversed === (first(by) === "descending") ? "ascending" : "descending");
    }
  }
}

/** The direction of an order that is not reversed. Numbers begin with the greatest one. */
const first = (by) => (by === "name" ? "ascending" : "descending");

export class TableRow {
  #icon = element("i");
  #condition = element("span");
  #name;
  #cells = new Map(COLUMNS.map(([by]) => [by, element("td", { role: "cell", class: `c-${by}` })]));
  #callers = new Callers();
  #keys = element("small");
  row;

  constructor(row, ctx) {
    this.row = row;
    this.ctx = ctx;
    this.#name = element("button", { type: "button", class: "name", title: escaped(title(row)) }, ...nameOf(row));
    this.#name.addEventListener("click", () => ctx.open(this.row.id));
    this.#cells.get("severity").append(this.#icon, this.#condition);
    this.#cells.get("name").append(this.#name, this.#keys);
    this.#cells.get("callers").append(this.#callers.node);
    this.node = element("tr", { role: "row", class: "row" }, ...this.#cells.values());
  }

  /** Called with the position in the whole table. The header is the first row. */
  placed(index) {
    this.node.setAttribute("aria-rowindex", String(index + 2));
  }

  update(row, now) {
    this.row = row;
    this.node.classList.toggle("gone", Boolean(row.gone));
    const counts = row.kind === "group" ? groupCounts(row, this.ctx.keysOf(row.name)) : null;
    const condition = counts ? worst(counts) : row.condition;
    if (this.node.dataset.state !== condition) {
      this.node.dataset.state = condition;
      this.#icon.replaceChildren(icon(condition));
    }
    setText(this.#condition, counts && condition !== "closed" ? `${count(counts[condition])} ${stateLabel(condition).toLowerCase()}` : stateLabel(condition));
    const perSecond = callRate(row);
    const minute = row.last_minute;
    this.#set("failures", failureText(row) || UNKNOWN);
    this.#set("calls", perSecond == null ? UNKNOWN : rate(perSecond) || "0");
    this.#set("p99", minute?.p99 == null ? UNKNOWN : measured(minute.p99));
    this.#set("rejections", minute ? rate((minute.rejections ?? 0) / Math.max(minute.seconds ?? 60, 1)) || "0" : UNKNOWN);
    if (counts) setText(this.#keys, counted(row.keys ?? 0, "key"));
    this.#callers.update(row);
    this.tick(now);
  }

  tick(now) {
    const { row } = this;
    this.#set("down", row.outage ? roughly(now - row.outage.since) : "");
    this.#set("changed", row.since ? clock(row.since, now) : row.kind === "group" ? "" : "never");
  }

  history() {}

  #set(by, text) {
    setText(this.#cells.get(by), text);
  }
}

/** Returns the parts of the name of a row. A long key is cut in its middle; small screens leave out the name before it. */
const nameOf = (row) => (row.kind === "key" ? [element("span", { class: "of" }, `${row.name} · `), shortened(keyText(row), 44)] : [row.name]);
