// The figures of a row: rates of the last minute, and what the callers got.

import { STATE_NAMES, STATES, counted, percent } from "./format.js";

/** The number of calls below which a percentage would mislead. */
const FEW_CALLS = 10;

/** Returns the share of failed calls among the calls of the last minute that were made; `null` if there were none, or if it is not known. */
export function failureRate({ last_minute: minute }) {
  if (!minute) return null;
  const made = (minute.successes ?? 0) + (minute.failures ?? 0);
  return made ? (minute.failures ?? 0) / made : null;
}

/** True if at least half of the calls failed that were made in the last minute, and they are enough for a percentage. */
export function isFailing(row) {
  const { successes = 0, failures = 0 } = row.last_minute ?? {};
  return successes + failures >= FEW_CALLS && failureRate(row) >= 0.5;
}

/** Formats the failure rate; few calls are counted instead. Empty if there were none. */
export function failureText(row) {
  const share = failureRate(row);
  if (share == null) return "";
  const { successes = 0, failures = 0 } = row.last_minute;
  return failures && successes + failures < FEW_CALLS ? `${failures} of ${successes + failures}` : percent(share);
}

/** Returns the number of calls a second in the last minute, rejected ones included; `null` if it is not known. */
export function callRate({ last_minute: minute }) {
  if (!minute) return null;
  const { seconds = 60, successes = 0, failures = 0, rejections = 0, ignored = 0, cancelled = 0 } = minute;
  return (successes + failures + rejections + ignored + cancelled) / Math.max(seconds, 1);
}

/**
 * Returns what the callers got in the last minute: `[answered, fallback, failed, cancelled]` if fallbacks are known, else
 * `[succeeded, failed, rejected, ignored, cancelled]` of the breaker itself (`own`); `null` if it is not known. An ignored error is an error
 * for the caller.
 */
export function outcomes({ last_minute: minute, callers }) {
  if (!minute) return null;
  if (callers && minute.callers) {
    const { answered = 0, fallback = 0, failed = 0, cancelled = 0 } = minute.callers;
    return { own: false, parts: [answered, fallback, failed, cancelled] };
  }
  const { successes = 0, failures = 0, rejections = 0, ignored = 0, cancelled = 0 } = minute;
  return { own: true, parts: [successes, failures, rejections, ignored, cancelled] };
}

/** Returns the share of the callers that got neither an answer nor a fallback; `null` if there were none, or if it is not known. */
export function failedShare(row) {
  const found = outcomes(row);
  const total = found?.parts.reduce((sum, part) => sum + part, 0);
  if (!total) return null;
  const { own, parts } = found;
  return (own ? parts[1] + parts[2] + parts[3] : parts[2]) / total;
}

const stateField = (state) => state.replace("-", "_");

/**
 * Returns the number of keys of a group in each condition. The group knows the states of all keys; `listed` are the rows of its worst keys,
 * which have a condition.
 */
export function groupCounts(group, listed = []) {
  const counts = Object.fromEntries(STATE_NAMES.map((name) => [name, group[stateField(name)] ?? 0]));
  for (const { state, condition } of listed) {
    if (condition === state || !Object.hasOwn(STATES, condition) || !counts[state]) continue;
    counts[state] -= 1;
    counts[condition] += 1;
  }
  return counts;
}

/** Returns the number of circuits of a group: of its keys, and of the overflow if there is one. */
export const circuits = (group) => Object.values(groupCounts(group)).reduce((sum, number) => sum + number, 0);

/** Returns what the conditions of a group are counted over: `2 keys`, or `3 circuits` with the overflow. */
export function circuitsText(group) {
  const [all, keys] = [circuits(group), group.keys ?? 0];
  return all > keys ? counted(all, "circuit") : counted(keys, "key");
}

/** Returns the most severe condition with a count above zero. */
export const worst = (counts) => STATE_NAMES.find((name) => counts[name] > 0) ?? "closed";
