// The account of a breaker for an operator: what is down, since when and why, what callers get, and what happens next.

import { clock, count, counted, duration, measured, percent } from "./format.js";
import { hanging } from "./headline.js";
import { isOverride } from "./override.js";
import { shareOf, shares } from "./shares.js";
import { lastMinute } from "./totals.js";

const ago = (at, now) => duration(Math.max(0, now - at));
/** Returns a moment with its distance from now: `at 14:03:32 (in 12 s)`. */
const inFuture = (at, now) => `at ${clock(at)} (in ${duration(at - now)})`;
/** Removes the state from a reason: `open after 5 failures in a row`. */
function cause(reason) {
  const text = reason.replace(/^open (because )?/, "");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** Returns the headline and the labelled facts of a breaker or of the breaker of a key. `overrides` are those of the log, oldest first. */
export function breakerSummary(entry, now, overrides) {
  return {
    headline: headline(entry),
    facts: [["Since", since(entry, now)], ["Why", why(entry, overrides)], ["Callers get", callers(entry, begun(entry), now)], ["Next", next(entry, now)]].filter(([, text]) => text),
  };
}

/** Returns the time since which calls have been treated as they are now; null if they always have been, or if it is not known. */
function begun({ condition, state, since: at, outage }) {
  if (condition === "observing") return null;
  return (isOverride(state) ? null : outage?.since) ?? at;
}

function headline(entry) {
  const { condition, state } = entry;
  switch (condition) {
    case "open":
      return "Down: every call is rejected.";
    case "half-open":
      return "Testing the recovery: only trial calls are admitted, the others are rejected.";
    case "forced-open":
      return "Forced open by an operator: every call is rejected.";
    case "disabled":
      return "Disabled by an operator: every call is admitted, failures do not open the circuit.";
    case "ramping":
      return `Recovering: ${percent(entry.admitted_share ?? 1)} of calls are admitted, the others are rejected.`;
    case "hung":
      return `Calls hang, the oldest for ${measured(entry.oldest_in_flight ?? 0)}: ${hanging(entry)}.`;
    case "observing":
      return state === "closed" || state == null
        ? "Observe only: no call is ever rejected."
        : "Observe only: calls are admitted. Without observe_only, they would be rejected now.";
    default:
      return "Calls are admitted.";
  }
}

function since(entry, now) {
  const { outage, since: at } = entry;
  if (outage) {
    const failed = outage.failed_recoveries ? ` · ${counted(outage.failed_recoveries, "failed trial")}` : "";
    return `${clock(outage.since)}, for ${ago(outage.since, now)}${failed}`;
  }
  if (at) return `${clock(at)}, for ${ago(at, now)}`;
  return "Has never opened";
}

function why(entry, overrides) {
  const { outage, operator_reason: byOperator, state } = entry;
  const parts = [];
  const operator = overrides.findLast(({ to }) => to === state)?.operator;
  if (isOverride(state) && (byOperator || operator)) parts.push(`Operator${operator ? ` ${operator}` : ""}${byOperator ? `: “${byOperator}”` : ""}`);
  const reason = outage?.reason ?? entry.reason;
  if (reason && !/^forced open/i.test(reason)) parts.push(cause(reason));
  const error = outage?.error ?? (outage || state !== "closed" ? entry.last_failure : null);
  if (error) parts.push(`Error: ${error}`);
  // Permits report a failure without an error.
  else if (outage && !isOverride(state) && /failure/.test(reason)) parts.push("the text of the error is not known");
  return parts.join(" · ");
}

/** Returns how much of the last minute was before the present state, which began at `begun`. */
function before({ seconds = 60 }, begun, now) {
  const age = Math.max(0, now - begun);
  if (!begun || age >= seconds) return "";
  return `, ${age < seconds / 2 ? "most" : "part"} of it before this state began ${duration(age)} ago`;
}

/**
 * Returns the outcomes of the last minute for callers: through fallbacks if there are any, else of the breaker's own calls. The present
 * state began at `begun`, if that is known.
 */
export function callers(entry, begun, now) {
  const minute = entry.last_minute;
  // The details of a key without a row have no history.
  if (!minute && entry.kind === "key" && entry.history && entry.history.known_since == null) return "Not sampled: only the 20 worst keys of a name are";
  if (!minute) return "Not measured yet: the first figures appear after some seconds";
  return ofMinute(entry, minute, `the ${lastMinute(minute)}${before(minute, begun, now)}`);
}

function ofMinute(entry, minute, over) {
  if (minute.callers) {
    const { answered = 0, fallback = 0, failed = 0, cancelled = 0 } = minute.callers;
    const all = answered + fallback + failed + cancelled;
    if (!all) return `No calls in ${over}`;
    const [ofAnswered, ofFallback, ofFailed, ofCancelled] = shares([answered, fallback, failed, cancelled]);
    return `${ofAnswered} an answer, ${ofFallback} a fallback, ${ofFailed} an error${cancelled ? `, ${ofCancelled} cancelled` : ""}: ${counted(all, "call")} in ${over}`;
  }
  const { successes = 0, failures = 0, rejections = 0, ignored = 0, cancelled = 0 } = minute;
  const all = successes + failures + rejections + ignored + cancelled;
  if (!all) return `No calls in ${over}`;
  const named = [[successes, "an answer"], [failures, "an error"], [rejections, "a rejection"], [ignored, "an ignored error"], [cancelled, "cancelled"]];
  const texts = shares(named.map(([number]) => number));
  const parts = named.map(([number, label], index) => number && `${texts[index]} ${label}`).filter(Boolean);
  return `${parts.join(", ")}: ${counted(all, "call")} in ${over}${entry.callers || entry.kind === "key" ? "; fallbacks are not included" : "; no fallback is known"}`;
}

function next(entry, now) {
  const { condition, until, config = {} } = entry;
  const { half_open_successes: needed = 1, half_open_max_calls: trials = 1 } = config;
  const closes = `it closes after ${counted(needed, "successful trial call")}`;
  switch (condition) {
    case "observing":
      if (entry.state === "closed" || entry.state == null) return threshold(entry);
      return until && until > now ? `A trial ${inFuture(until, now)}` : "";
    case "open":
      return until && until > now ? `Trial call ${inFuture(until, now)}; ${closes}` : `The next call is a trial call; ${closes}`;
    case "half-open":
      return `${count(entry.trial_successes ?? 0)} of ${counted(needed, "trial call")} succeeded, ${count(entry.trial_failures ?? 0)} failed (at most ${count(trials)} are made); ${closes}`;
    case "forced-open":
      return until ? `The override expires ${inFuture(until, now)}; then trial calls are admitted` : "No expiry: until an operator resets it";
    case "disabled":
      return until ? `The override expires ${inFuture(until, now)}; then the circuit is closed` : "No expiry: until an operator resets it";
    case "ramping":
      return "The admitted share rises until every call is admitted";
    default:
      return threshold(entry);
  }
}

/** Returns the distance of a closed breaker from its threshold. */
function threshold({ config, window, consecutive_failures: inARow = 0 }) {
  const rule = config?.threshold;
  if (!rule) return "";
  const parts = [];
  if (rule.failures) parts.push(`after ${counted(rule.failures, "failure")} in a row (now ${count(inARow)})`);
  if (rule.failure_rate != null) {
    const { calls = 0, failures = 0, slow = 0 } = window ?? {};
    const isEnough = calls >= rule.min_calls;
    const state = (part) => (isEnough ? ` (now ${shareOf(part, calls)} of ${counted(calls, "call")})` : "");
    parts.push(`at ${shareOf(rule.failure_rate, 1)} failures${state(failures)}`);
    if (rule.slow_call != null) parts.push(`at ${shareOf(rule.slow_call_rate, 1)} calls slower than ${measured(rule.slow_call)}${state(slow)}`);
    if (!isEnough) return `Opens ${parts.join(", or ")}; the rates apply from ${counted(rule.min_calls, "call")} (now ${count(calls)})`;
  }
  return parts.length ? `Opens ${parts.join(", or ")}` : "";
}
