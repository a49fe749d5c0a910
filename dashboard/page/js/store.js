// The rows of the page: what the stream has sent. A row stays the same object until it is removed, and is changed in place.

import { title } from "./format.js";

/** The values of fields that the stream leaves out because they are zero, false or empty. Other fields are unknown (`null`). */
const DEFAULTS = {
  overflow: false, observe_only: false, admitted_share: 0,
  successes: 0, failures: 0, ignored: 0, cancelled: 0, rejections: 0, observed_rejections: 0, transitions: 0,
  consecutive_failures: 0, trial_successes: 0, trial_failures: 0, failed_recoveries: 0,
  keys: 0, open: 0, half_open: 0, forced_open: 0, disabled: 0, closed: 0,
  calls: 0, attempts: 0, retries: 0, first_try: 0, retried: 0, failed: 0, exhausted: 0, denied: 0, not_transient: 0, rejected: 0, stopped: 0, panicked: 0,
  admitted: 0, in_window: 0, waiting: 0, reached: 0, full: 0, answered: 0, fallback: 0, timed_out: 0, withdrawn: 0, refunded: 0, balance: 0,
};

/** Returns a field of a row; its default if the stream has left it out. */
export const value = (row, field) => row[field] ?? DEFAULTS[field] ?? null;

/** @typedef {{changed: Set<string>, removed: Set<string>, conditions: {id: string, from: string, to: string}[]}} Result */

export class Store {
  /** The rows by their ids. @type {Map<string, object>} */
  rows = new Map();
  /** The fields of the last `start` message, with the present `counts` and `callers`; `null` before the first. */
  meta = null;
  /** True once every row of the last `start` has arrived. */
  complete = false;
  /** How often the program was restarted while the page was open. */
  restarts = 0;
  #byNumber = new Map();
  /** The ids that were present before the last `start` and have not been sent since. */
  #unseen = new Set();

  /** Applies a message of the stream. @returns {Result} */
  apply(name, data) {
    const result = { changed: new Set(), removed: new Set(), conditions: [] };
    if (name === "start") this.#start(data, result);
    if (name === "rows" || name === "changes") {
      if (data.counts) this.meta = { ...this.meta, counts: data.counts };
      if ("callers" in data) this.meta = { ...this.meta, callers: data.callers };
      for (const row of data.rows ?? []) this.#replace(row, result);
      for (const [number, fields] of data.set ?? []) this.#change(number, fields, result);
      for (const number of data.removed ?? []) this.#remove(this.#byNumber.get(number), result);
    }
    if (name === "rows" && data.done) {
      for (const id of this.#unseen) this.#remove(this.rows.get(id), result);
      this.#unseen.clear();
      this.complete = true;
    }
    return result;
  }

  /** Returns messages that bring another store to the state of this one. */
  snapshot() {
    if (!this.meta) return [];
    const rows = [...this.rows.values()].map(({ text, ...row }) => row);
    return [["start", this.meta], ["rows", { rows, done: this.complete }]];
  }

  /** Rows stay visible until the new stream has sent them all, unless the server has been restarted. */
  #start(data, result) {
    const restarted = this.meta && this.meta.started !== data.started;
    if (restarted) {
      this.restarts += 1;
      for (const row of [...this.rows.values()]) this.#remove(row, result);
    }
    this.meta = data;
    this.complete = false;
    this.#byNumber.clear();
    this.#unseen = new Set(this.rows.keys());
  }

  #replace(fields, result) {
    const present = this.rows.get(fields.id);
    const row = present ?? fields;
    const before = present?.condition;
    if (present) {
      for (const field of Object.keys(row)) if (!(field in fields) && field !== "text") delete row[field];
      Object.assign(row, fields);
    }
    row.gone = false;
    // The text by which a row is found and sorted.
    row.text ??= title(row);
    this.rows.set(row.id, row);
    this.#byNumber.set(row.i, row);
    this.#unseen.delete(row.id);
    this.#note(row, before, result);
  }

  #change(number, fields, result) {
    const row = this.#byNumber.get(number);
    if (!row) return;
    const before = row.condition;
    Object.assign(row, fields);
    this.#note(row, before, result);
  }

  #note(row, before, { changed, conditions }) {
    changed.add(row.id);
    if (before && before !== row.condition) conditions.push({ id: row.id, from: before, to: row.condition });
  }

  #remove(row, { removed, changed }) {
    if (!row) return;
    // A list that stands still may go on showing the row.
    row.gone = true;
    if (this.rows.get(row.id) === row) this.rows.delete(row.id);
    this.#byNumber.delete(row.i);
    removed.add(row.id);
    changed.delete(row.id);
  }
}
