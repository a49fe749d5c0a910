// The order of the list and its filters.

import { callRate, failedShare, failureRate, groupCounts, worst } from "./figures.js";
import { STATE_NAMES } from "./format.js";
import { thresholdShare } from "./headline.js";

const collator = new Intl.Collator(undefined, { numeric: true });

/**
 * The orders by name: the label, and the number by which rows are compared. The greatest number is first; equal ones are ordered by name.
 * `keys` returns the listed keys of a group.
 */
export const SORTS = {
  severity: { label: "severity", number: severity },
  name: { label: "name", number: () => 0 },
  down: { label: "time down", number: (row) => (row.outage ? -row.outage.since : -Infinity) },
  failures: { label: "failure rate", number: (row) => failureRate(row) ?? -1 },
  calls: { label: "calls", number: (row) => callRate(row) ?? -1 },
  p99: { label: "p99", number: (row) => row.last_minute?.p99 ?? -1 },
  callers: { label: "without answer", number: (row) => failedShare(row) ?? -1 },
  rejections: { label: "rejections", number: (row) => row.last_minute?.rejections ?? 0 },
  changed: { label: "last change", number: (row) => row.since ?? 0 },
};

/** More than the number of seconds from 1970 until any outage. */
const FAR = 1e11;

/**
 * The rank of the condition first. In the same condition, breakers by the time down, groups by the share of their keys in it, and then keys by
 * the time down. Rows that are not down by the distance from the threshold and the failure rate, in steps, so that they do not move with every
 * call.
 */
function severity(row, keys) {
  const counts = row.kind === "group" ? groupCounts(row, keys(row.name)) : null;
  const condition = counts ? worst(counts) : row.condition;
  const rank = (STATE_NAMES.length - STATE_NAMES.indexOf(condition)) * 10 * FAR;
  if (row.outage) return rank + (row.kind === "key" ? 1 : 6) * FAR - row.outage.since;
  const share = counts && condition !== "closed" ? counts[condition] / Math.max(row.keys ?? 0, 1) : Math.max(thresholdShare(row), failureRate(row) ?? 0);
  return rank + FAR + Math.floor(Math.min(1, share) * 4) * FAR;
}

/** Keeps rows sorted. Sorting again is cheap, because names are compared only once and most rows are in order. */
export class Order {
  /** All rows, in the present order. */
  #rows = [];
  #byName = [];

  /** Takes the present rows, after some were added or removed. */
  take(rows) {
    const present = new Set(rows);
    this.#rows = this.#rows.filter((row) => present.delete(row)).concat([...present]);
    const named = new Set(this.#rows);
    this.#byName = this.#byName.filter((row) => named.delete(row)).concat([...named]);
    this.#byName.sort((one, other) => collator.compare(one.text, other.text));
    this.#byName.forEach((row, index) => (row.rank = index));
  }

  /** Returns the rows in order. */
  sorted(by, reversed, keys) {
    const { number } = SORTS[by] ?? SORTS.severity;
    const numbers = new Map(this.#rows.map((row) => [row, number(row, keys)]));
    const sign = reversed ? -1 : 1;
    this.#rows.sort((one, other) => sign * ((numbers.get(other) - numbers.get(one)) || (one.rank - other.rank)));
    return this.#rows;
  }
}

/** Returns how many items have to be moved to bring `present` into the order of `wanted`; added and removed ones count as well. */
export function moves(present, wanted) {
  const positions = new Map(present.map((row, index) => [row.id, index]));
  const tails = [];
  let common = 0;
  for (const { id } of wanted) {
    const position = positions.get(id);
    if (position === undefined) continue;
    common += 1;
    // The longest increasing subsequence stays where it is.
    let low = 0;
    let high = tails.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (tails[middle] < position) low = middle + 1;
      else high = middle;
    }
    tails[low] = position;
  }
  return wanted.length - tails.length + (present.length - common);
}
