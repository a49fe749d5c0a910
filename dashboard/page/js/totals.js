// The table of figures in the details: the last minute beside the time since the start.

import { duration, element, exact, measured } from "./format.js";
import { shareOf } from "./shares.js";

/** Returns the time that the figures of the last minute really cover: less than a minute after the start. */
export const lastMinute = ({ seconds = 60 }) => (seconds < 55 ? `last ${duration(seconds)}` : "last minute");

/** A figure that is not known. */
export const UNKNOWN = "–";
const number = (value) => (value == null ? UNKNOWN : exact(value));
const seconds = (value) => (value == null ? UNKNOWN : measured(value));

/** Returns the row of a counter: its label, its increase in the last minute, its total. `minute` is undefined or null if the increase is not known. */
export const counter = (label, minute, total) => [label, number(minute), number(total)];

/** Returns the rows of a breaker, of the breaker of a key, or of all keys together. */
export function breakerFigures(entry) {
  const { last_minute: lm, durations, callers, observed_rejections: observed } = entry;
  const of = (name) => (lm ? lm[name] ?? 0 : null);
  const failureRate = (counts) => counts && shareOf(counts.failures ?? 0, (counts.failures ?? 0) + (counts.successes ?? 0));
  const rows = [
    counter("Succeeded", of("successes"), entry.successes ?? 0),
    counter("Failed", of("failures"), entry.failures ?? 0),
    ["Failed, of calls made", failureRate(lm) ?? UNKNOWN, failureRate(entry)],
    counter("Rejected", of("rejections"), entry.rejections ?? 0),
  ];
  if (observed || entry.observe_only) rows.push(counter("Would have been rejected", undefined, observed ?? 0));
  for (const [name, label] of [["ignored", "Ignored"], ["cancelled", "Cancelled"]]) if (entry[name] || lm?.[name]) rows.push(counter(label, of(name), entry[name] ?? 0));
  if (entry.hung != null) rows.push(counter("Hung", undefined, entry.hung));
  if (lm?.p99 != null || durations?.count) rows.push(["Duration, p99", seconds(lm?.p99), seconds(durations?.p99)]);
  if (callers) rows.push(...callerFigures(lm?.callers, callers));
  if (entry.transitions != null) rows.push(counter("State changes", undefined, entry.transitions));
  return rows;
}

function callerFigures(minute, total) {
  const labels = [["answered", "Callers: answered"], ["fallback", "Callers: a fallback"], ["failed", "Callers: an error"], ["cancelled", "Callers: cancelled"]];
  return labels.map(([name, label]) => counter(label, minute ? minute[name] ?? 0 : null, total[name] ?? 0));
}

/** The table. Its cells are updated in place, so that their text can be selected. */
export class FigureTable {
  #head = element("th", { scope: "col" });
  #body = element("tbody");
  node = element("table", { class: "figures-table" },
    element("thead", {}, element("tr", {}, element("th", { scope: "col" }, "Figure"), this.#head, element("th", { scope: "col" }, "Since start"))), this.#body);

  update(rows, minute) {
    const over = lastMinute(minute ?? {});
    setCell(this.#head, `L${over.slice(1)}`);
    while (this.#body.children.length > rows.length) this.#body.lastChild.remove();
    while (this.#body.children.length < rows.length) this.#body.append(element("tr", {}, element("th", { scope: "row" }), element("td"), element("td")));
    rows.forEach((texts, index) => texts.forEach((text, column) => setCell(this.#body.children[index].children[column], text ?? UNKNOWN)));
    this.node.hidden = !rows.length;
  }
}

function setCell(cell, text) {
  if (cell.textContent !== text) cell.textContent = text;
}

const QUANTILES = [["p50", "p50"], ["p95", "p95"], ["p99", "p99"], ["max", "max"]];
const OUTCOMES = [["successes", "succeeded"], ["failures", "failed"], ["ignored", "ignored"], ["cancelled", "cancelled"]];

/** Returns the table of the durations since the start, by outcome; null if none are recorded. */
export function durationTable(durations) {
  if (!durations?.count) return null;
  const rows = [["all", durations], ...OUTCOMES.map(([name, label]) => [label, durations[name]])].filter(([, part]) => part?.count);
  const cells = rows.map(([label, part]) => element("tr", {}, element("th", { scope: "row" }, label), element("td", {}, exact(part.count)),
    ...QUANTILES.map(([name]) => element("td", {}, seconds(part[name])))));
  return element("table", { class: "figures-table durations-table" },
    element("thead", {}, element("tr", {}, ...["Calls", "count", ...QUANTILES.map(([, label]) => label)].map((label) => element("th", { scope: "col" }, label)))),
    element("tbody", {}, ...cells));
}
