// The lines of a card: how long a breaker has been down, why it began, and what happens next.

import { clock, count, counted, duration, measured, percent, roughly } from "./format.js";
import { value } from "./store.js";

const capitalized = (text) => text.charAt(0).toUpperCase() + text.slice(1);
/** Removes the state from a reason: `open after 5 failures in a row`. */
const cause = (reason) => capitalized((reason ?? "").replace(/^open (because )?/, ""));
const joined = (...parts) => parts.filter(Boolean).join(" · ");
const lasting = (at, now) => (at ? ` for ${duration(now - at)}` : "");

/** Returns the three lines of a card. @returns {{head: string, why: string, next: string}} */
export function headline(row, now) {
  const { outage, since, until } = row;
  const began = outage?.since ?? since;
  const error = outage?.error ?? row.last_failure;
  const reason = cause(outage?.reason ?? row.reason);
  // Permits report a failure without an error.
  const why = [reason, error ?? (/failure/.test(reason) ? "the text of the error is not known" : "")].filter(Boolean).join(": ");
  const trials = outage?.failed_recoveries ? `${counted(outage.failed_recoveries, "failed trial")}` : "";
  const left = until && until > now ? until - now : 0;
  switch (row.condition) {
    case "open":
      return { head: `Down${lasting(began, now)}`, why, next: joined(trials, left ? `next trial call in ${duration(left)}` : "the next call is a trial call") };
    case "half-open": {
      const { half_open_successes: needed = 1 } = row.config ?? {};
      return { head: `Down${lasting(began, now)}`, why, next: joined(`testing: ${value(row, "trial_successes")} of ${counted(needed, "trial")} succeeded`, trials) };
    }
    case "forced-open":
      return { head: `Forced open${lasting(since, now)}`, why: byOperator(row), next: left ? `ends in ${duration(left)}, at ${clock(until, now)}` : "no expiry" };
    case "disabled":
      return { head: `Disabled${lasting(since, now)}`, why: byOperator(row), next: joined("admits every call", left ? `ends in ${duration(left)}` : "no expiry") };
    case "hung":
      return { head: `Calls hang${row.oldest_in_flight ? ` for ${measured(row.oldest_in_flight)}` : ""}`,
        why: row.hung ? `${counted(row.hung, "call")} hung since the program started` : "Calls in flight do not return", next: joined(`${count(row.in_flight ?? 0)} in flight`, threshold(row)) };
    case "ramping":
      return { head: `Recovering: ${percent(value(row, "admitted_share"))} admitted`, why: `The circuit has closed${since ? ` at ${clock(since, now)}` : ""}, and admits more calls step by step`, next: "the other calls are rejected" };
    case "observing":
      return row.state === "closed" || row.state == null
        ? { head: "Would admit calls", why: "This breaker never rejects a call", next: threshold(row) }
        : { head: `Would be open${lasting(began, now)}`, why, next: `observe only: ${counted(value(row, "observed_rejections"), "call")} would be rejected` };
    default:
      return { head: since ? `Closed for ${roughly(now - since)}` : "Never opened", why: "", next: threshold(row) };
  }
}

const byOperator = ({ operator_reason: reason }) => (reason ? `By an operator: ${reason}` : "By an operator");

/** Returns how far a closed breaker is from its threshold: the nearer one of its two rules. */
function threshold(row) {
  const rule = row.config?.threshold;
  if (!rule) return "";
  const inARow = value(row, "consecutive_failures");
  const { calls = 0, failures = 0, slow = 0 } = row.window ?? {};
  const share = (part) => (calls ? part / calls : 0);
  const ofRow = rule.failures ? inARow / rule.failures : 0;
  if (rule.failure_rate == null || (rule.failures && ofRow > share(failures) / rule.failure_rate)) return `${inARow} of ${rule.failures} failures in a row`;
  if (rule.slow_call != null && share(slow) / rule.slow_call_rate > share(failures) / rule.failure_rate) return `${percent(share(slow))} slow, opens at ${percent(rule.slow_call_rate)}`;
  return `${percent(share(failures))} failed, opens at ${percent(rule.failure_rate)}`;
}

/** Returns the share of the threshold that a closed breaker has reached; 1 opens it. */
export function thresholdShare({ config, window, consecutive_failures: inARow = 0 }) {
  const rule = config?.threshold;
  if (!rule) return 0;
  const { calls = 0, failures = 0 } = window ?? {};
  return Math.max(rule.failures ? inARow / rule.failures : 0, calls && rule.failure_rate ? failures / calls / rule.failure_rate : 0);
}
