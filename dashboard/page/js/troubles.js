// What the lines at the top say besides the breakers that are down: the limits and retries whose calls fail, and the cause of many outages.

import { failureRate, isFailing } from "./figures.js";
import { count, counted, percent, shortened, title } from "./format.js";

/** The share of calls that were rejected or failed in the last minute from which a limit or a retry is named. */
const LEAST_SHARE = 0.05;
const MAX_NAMES = 3;
/** The conditions in which all calls are admitted. */
const ADMITTING = ["closed", "hung", "observing", "disabled"];
/** The number of outages from which they are searched for a common cause, and the time within which they have begun together, in seconds. */
const MANY = 10;
const TOGETHER = 60;

const share = (part, whole) => (whole > 0 ? part / whole : 0);

/** Returns the share of failed calls of a limit or a retry in the last minute; 0 for other rows. */
function failedShare({ kind, last_minute: minute }) {
  if (!minute) return 0;
  if (kind === "retry") return share(minute.failed ?? 0, minute.calls ?? 0);
  const isLimit = kind.startsWith("rate_limit") || kind.startsWith("bulkhead");
  return isLimit ? share(minute.rejected ?? 0, (minute.rejected ?? 0) + (minute.admitted ?? 0)) : 0;
}

/** Returns how many limits and retries reject or fail calls, and a text that names the worst. @returns {{total: number, text: string}} */
export function troubles(rows) {
  const found = rows.map((row) => [row, failedShare(row)]).filter(([, failed]) => failed >= LEAST_SHARE).sort((one, other) => other[1] - one[1]);
  const retries = found.filter(([{ kind }]) => kind === "retry");
  const limits = found.filter(([{ kind }]) => kind !== "retry");
  const text = [named("Limits reject calls", limits), named("Retries fail", retries)].filter(Boolean).join(". ");
  return { total: found.length, text };
}

/**
 * Returns how many breakers admit calls although at least half of them fail, and a text that names those with the most failures. A key counts
 * if its group as a whole does not fail. @returns {{total: number, text: string}}
 */
export function failing(rows) {
  const found = rows.filter((row) => isFailing(row) && (row.kind === "group" || ADMITTING.includes(row.condition)));
  const groups = new Set(found.filter(({ kind }) => kind === "group").map(({ name }) => name));
  const listed = found.filter(({ kind, name }) => kind !== "key" || !groups.has(name)).sort((one, other) => other.last_minute.failures - one.last_minute.failures);
  const names = listed.slice(0, MAX_NAMES).map(failureOf);
  const more = listed.length > MAX_NAMES ? [`${count(listed.length - MAX_NAMES)} more`] : [];
  return { total: listed.length, text: [...names, ...more].join(", ") };
}

function failureOf(row) {
  const { successes = 0, failures } = row.last_minute;
  return `${shortened(title(row), 40)}: ${percent(failureRate(row))} of ${counted(successes + failures, "call")} fail`;
}

function named(label, found) {
  if (!found.length) return "";
  const names = found.slice(0, MAX_NAMES).map(([row, failed]) => `${shortened(title(row), 40)} ${percent(failed)}`);
  const more = found.length > MAX_NAMES ? `, ${count(found.length - MAX_NAMES)} more` : "";
  return `${label}: ${names.join(", ")}${more}`;
}

/** Tells whether many outages have begun together, and which error most of them have; empty if neither is true of half of them. */
export function commonCause(rows) {
  const outages = rows.map(({ outage }) => outage).filter(Boolean);
  if (outages.length < MANY) return "";
  const together = mostWithin(outages.map(({ since }) => since));
  const errors = new Map();
  for (const { error } of outages) errors.set(error, (errors.get(error) ?? 0) + 1);
  const [error, same] = [...errors].reduce((one, other) => (other[1] > one[1] ? other : one));
  const parts = [];
  if (together * 2 >= outages.length) parts.push(`${count(together)} began within 1 min`);
  if (same * 2 >= outages.length && error) parts.push(`${count(same)} with “${shortened(error, 80)}”`);
  return parts.length ? `Of ${counted(outages.length, "outage")}, ${parts.join(", ")}` : "";
}

/** Returns the greatest number of times within a minute. */
function mostWithin(times) {
  const sorted = Float64Array.from(times).sort();
  let first = 0;
  let most = 0;
  sorted.forEach((time, index) => {
    while (time - sorted[first] > TOGETHER) first += 1;
    most = Math.max(most, index - first + 1);
  });
  return most;
}
