// Retries and their budgets.

import { count, counted, exact } from "./format.js";
import { UNKNOWN, counter, lastMinute } from "./totals.js";
import { RowSection } from "./section.js";
import { shareOf, shares } from "./shares.js";

const FAILURES = [
  ["exhausted", "Exhausted all attempts"],
  ["not_transient", "Not transient"],
  ["rejected", "Rejected by a breaker or a limit"],
  ["denied", "Denied by the budget"],
  ["stopped", "Stopped"],
  ["panicked", "Panicked"],
];
/** The share of failed calls from which a retry or a fallback counts as failing. */
export const FAILING = 0.1;
const sum = (entry, names) => names.reduce((total, name) => total + (entry[name] ?? 0), 0);
const failedOf = (entry) => sum(entry, FAILURES.map(([name]) => name));
const attemptsPerCall = (entry, active) => (active ? perCall(active.attempts ?? 0, active.calls) : perCall(entry.attempts ?? 0, entry.calls));
const perCall = (attempts, calls) => (calls ? (attempts / calls).toFixed(2) : "–");

/** Returns the outcomes of all calls since the start. */
function outcomes(entry) {
  return [
    { style: "answered", label: "first attempt", number: entry.first_try_successes ?? 0, always: true },
    { style: "retried", label: "after retries", number: entry.retried_successes ?? 0, always: true },
    { style: "failed", label: "failed", number: failedOf(entry), always: true },
    { style: "cancelled", label: "cancelled", number: entry.cancelled ?? 0 },
  ];
}

/** Returns the calls of the last minute that succeeded at the first attempt; undefined if they cannot be told from cancelled ones. */
function firstTries({ last_minute: { calls = 0, retried = 0, failed = 0, cancelled }, cancelled: ever, panicked }) {
  return cancelled == null && (ever || panicked) ? undefined : Math.max(0, calls - retried - failed - (cancelled ?? 0));
}

/** Returns the outcomes of the last minute. Without a number of cancelled calls, these cannot be told from first attempts that succeeded. */
function minuteOutcomes({ last_minute: { calls = 0, retried = 0, failed = 0, cancelled }, cancelled: ever, panicked }) {
  const rest = Math.max(0, calls - retried - failed - (cancelled ?? 0));
  return [
    { style: "answered", label: cancelled == null && (ever || panicked) ? "first attempt or cancelled" : "first attempt", number: rest, always: true },
    { style: "retried", label: "after retries", number: retried, always: true },
    { style: "failed", label: "failed", number: failed, always: true },
    { style: "cancelled", label: "cancelled", number: cancelled ?? 0 },
  ];
}

function condition({ calls = 0, last_minute: minute }) {
  if (!calls) return { state: "idle", label: "Not called yet" };
  if (!minute?.calls) return { state: "idle", label: minute ? "No calls in the last minute" : "Not measured yet" };
  const { calls: all, failed = 0, retried = 0, cancelled = 0 } = minute;
  if (failed >= all * FAILING) return { state: "failing", label: "Failing" };
  if (failed) return { state: "full", label: "Some calls fail" };
  if (cancelled === all) return { state: "idle", label: "All calls cancelled" };
  return retried ? { state: "full", label: "Retrying" } : { state: "free", label: "No retries" };
}

function retryRow(entry) {
  const { calls = 0, last_minute: minute } = entry;
  const active = minute?.calls ? minute : null;
  const inFlight = !calls && entry.attempts ? "The first calls are in flight" : "Not called yet";
  return {
    ...condition(entry),
    caption: calls ? `${active ? `${counted(active.calls, "call")} in the ${lastMinute(active)}` : `${counted(calls, "call")} since start`} · ${attemptsPerCall(entry, active)} attempts per call` : inFlight,
    parts: active ? minuteOutcomes(entry) : outcomes(entry),
  };
}

function retrySummary(entry) {
  const { calls = 0, last_minute: minute } = entry;
  const active = minute?.calls ? minute : null;
  const parts = active ? minuteOutcomes(entry) : outcomes(entry);
  const texts = shares(parts.map(({ number }) => number));
  const shown = parts.map(({ number, always, label }, index) => (number || always) && `${texts[index]} ${label}`).filter(Boolean).join(", ");
  const over = active ? `in the ${lastMinute(active)}` : "since the start";
  const failures = FAILURES.filter(([name]) => entry[name]).map(([name, label]) => `${label.toLowerCase()} ${count(entry[name])}`).join(", ");
  const facts = [["Attempts", calls ? `${attemptsPerCall(entry, active)} per call ${over}` : ""],
    ["Failures", failures && `${failures} since the start`]];
  return { headline: calls ? `${counted(active ? active.calls : calls, "call")} ${over}: ${shown}.` : entry.attempts ? "No call has ended yet." : "Not called yet.", facts: facts.filter(([, text]) => text) };
}

function retryFigures(entry) {
  const { last_minute: minute } = entry;
  const of = (number) => (minute ? number ?? 0 : null);
  const firsts = minute && firstTries(entry);
  const rows = [
    counter("Calls", of(minute?.calls), entry.calls ?? 0),
    counter("Succeeded at the first attempt", firsts, entry.first_try_successes ?? 0),
    counter("Succeeded after retries", of(minute?.retried), entry.retried_successes ?? 0),
    counter("Failed", of(minute?.failed), failedOf(entry)),
    ...FAILURES.filter(([name]) => entry[name]).map(([name, label]) => counter(`– ${label}`, undefined, entry[name])),
    counter("Cancelled", minute?.cancelled, entry.cancelled ?? 0),
    counter("Attempts", of(minute?.attempts), entry.attempts ?? 0),
    ["Attempts per call", minute ? perCall(minute.attempts ?? 0, minute.calls) : "–", perCall(entry.attempts ?? 0, entry.calls)],
  ];
  if (entry.rejections) rows.push(counter("Attempts rejected by a breaker or a limit", undefined, entry.rejections));
  return rows;
}

const empty = ({ calls = 0, balance = 0 }) => calls > 0 && balance < 1;

function budgetCondition(entry) {
  if (!entry.calls) return { state: "idle", label: "Not used yet" };
  if (entry.last_minute?.denied) return { state: "failing", label: "Denying retries" };
  return empty(entry) ? { state: "full", label: "Exhausted" } : { state: "free", label: "Available" };
}

const budgetRule = ({ ratio = 0, reserve_per_second: reserve = 0 }) => `${shareOf(ratio, 1)} of calls, and ${counted(reserve, "retry").replace("retrys", "retries")} per second`;
const of = (entry) => entry.last_minute ?? entry;
const balanceText = ({ balance = 0 }) => count(Math.floor(balance));

const budgetRow = (entry) => ({
  ...budgetCondition(entry),
  caption: `Retry budget · ${budgetRule(entry)}`,
  value: `${counted(Math.floor(entry.balance ?? 0), "retry").replace("retrys", "retries")} left`,
  text: `${count(of(entry).withdrawn ?? 0)} retries allowed, ${count(of(entry).denied ?? 0)} denied ${entry.last_minute ? `in the ${lastMinute(entry.last_minute)}` : "since start"}`,
});

const budgetSummary = (entry) => ({
  headline: empty(entry) ? "Exhausted: a call that fails is not retried." : `${balanceText(entry)} retries are left.`,
  facts: [["Earns", budgetRule(entry)], ["Denied", `${counted(entry.denied ?? 0, "retry").replace("retrys", "retries")} since the start`]],
});

const budgetFigures = (entry) => [
  counter("Calls", undefined, entry.calls ?? 0),
  counter("Retries allowed", entry.last_minute ? entry.last_minute.withdrawn ?? 0 : null, entry.withdrawn ?? 0),
  counter("Retries given back", undefined, entry.refunded ?? 0),
  counter("Retries denied", entry.last_minute ? entry.last_minute.denied ?? 0 : null, entry.denied ?? 0),
  ["Retries left", UNKNOWN, exact(Math.floor((entry.balance ?? 0) * 10) / 10)],
];

/** The kinds of this module, by `entry.kind`. */
export const RETRIES = {
  retry: { label: "Retry", row: retryRow, summary: retrySummary, figures: retryFigures, condition, samples: [["Neither retried nor failed", "answered"], ["Succeeded after retries", "retried"], ["Failed", "failed"]], sampleOf: ([calls, retried, failed]) => [calls - retried - failed, retried, failed] },
  budget: { label: "Retry budget", row: budgetRow, summary: budgetSummary, figures: budgetFigures, condition: budgetCondition, samples: [["Allowed", "retried"], ["Denied", "failed"], null] },
};

/** The section of retries and budgets. */
export class RetrySection extends RowSection {
  constructor(container, ctx) {
    super(container, ctx, "Retries", RETRIES);
  }
}
