// Rate limits and bulkheads, with and without keys.

import { count, counted, duration } from "./format.js";
import { counter, lastMinute } from "./totals.js";
import { FAILING } from "./retry.js";
import { RowSection } from "./section.js";
import { shareOf } from "./shares.js";

/** Formats a period that may be shorter than a second. */
const period = (seconds) => (seconds < 1 ? `${Number((seconds * 1000).toPrecision(3))} ms` : duration(seconds));
/** A limit without a declaration has the limit 0 and admits everything. */
const rule = ({ limit, per, burst }) => (limit ? `${counted(limit, "call")} per ${period(per)}${burst ? `, at most ${count(burst)} at once` : ""}` : "No limit declared");
const rejectedInMinute = ({ last_minute: minute }) => (minute ? `${count(minute.rejected ?? 0)} rejected in the ${lastMinute(minute)}` : "rejections of the last minute not measured yet");
const waitingText = (waiting) => (waiting ? `${count(waiting)} waiting` : "");
const joined = (...parts) => parts.filter(Boolean).join(" · ");

/** Returns the usage of an entry: used, capacity, and the noun for what is used. */
function usage(entry) {
  switch (entry.kind) {
    case "rate_limit":
      return { used: entry.in_window ?? 0, capacity: entry.burst ?? entry.limit ?? 0, noun: "in use" };
    case "rate_limit_group":
      return { used: entry.reached ?? 0, capacity: Math.max(entry.keys ?? 0, entry.reached ?? 0), noun: "keys at their limit" };
    case "bulkhead":
      return { used: entry.in_flight ?? 0, capacity: entry.max_concurrent ?? 0, noun: "in flight" };
    default:
      return { used: entry.full ?? 0, capacity: Math.max(entry.keys ?? 0, entry.full ?? 0), noun: "keys full" };
  }
}

const isGroup = (entry) => entry.kind.endsWith("_group");
/** `full` if no call without waiting is admitted now, for a group of at least one key. */
function load(entry) {
  const { used, capacity } = usage(entry);
  return (isGroup(entry) ? used > 0 : capacity > 0 && used >= capacity) ? "full" : "free";
}

/** Returns the calls of the last minute that were rejected, and their share. */
function rejections({ last_minute: minute }) {
  const { admitted = 0, rejected = 0 } = minute ?? {};
  return { rejected, share: rejected / Math.max(1, admitted + rejected), text: shareOf(rejected, admitted + rejected) };
}

/** A limit that has rejected calls in the last minute is in use, even if it admits the next call. */
function condition(entry) {
  const { rejected, share, text } = rejections(entry);
  if (rejected) return { state: share < FAILING ? "full" : "failing", label: `Rejecting ${text}` };
  const state = load(entry);
  const full = entry.kind.startsWith("rate") ? "At its limit" : "Full";
  if (isGroup(entry) && state === "full") return { state, label: `${count(usage(entry).used)} ${full === "Full" ? "full" : "at the limit"}` };
  return { state, label: state === "full" ? full : "Free" };
}

function bound(entry) {
  const each = isGroup(entry) ? ` for each of ${counted(entry.keys ?? 0, "key")}` : "";
  return entry.kind.startsWith("rate") ? rule(entry) + each : `At most ${counted(entry.max_concurrent ?? 0, "concurrent call")}${each}`;
}

function row(entry) {
  const { used, capacity, noun } = usage(entry);
  return {
    ...condition(entry),
    caption: `${entry.kind.startsWith("rate") ? "Rate limit" : "Bulkhead"} · ${bound(entry)}`,
    value: capacity ? `${count(used)} of ${count(capacity)} ${noun}` : "",
    gauge: capacity ? used / capacity : null,
    text: joined(waitingText(entry.waiting), rejectedInMinute(entry)),
  };
}

function summary(entry) {
  const { used, capacity, noun } = usage(entry);
  const { rejected, text } = rejections(entry);
  const over = lastMinute(entry.last_minute ?? {});
  const isFull = load(entry) === "full";
  const facts = [["Limit", bound(entry)], ["Now", capacity ? joined(`${count(used)} of ${count(capacity)} ${noun}`, waitingText(entry.waiting)) : waitingText(entry.waiting)],
    ["Callers get", entry.last_minute ? `${counted(entry.last_minute.admitted ?? 0, "call")} admitted, ${count(rejected)} rejected in the ${over}` : "Not measured yet"]];
  if (isGroup(entry)) facts.push(["Keys", `${count(entry.keys ?? 0)} of at most ${count(entry.max_keys ?? 0)}`]);
  const now = !isFull ? "A call is admitted at once" : isGroup(entry) ? `${count(used)} of ${counted(capacity, "key")} at the limit: their further calls wait or are rejected` : "At its limit: a further call waits or is rejected";
  const headline = rejected ? `${text} of calls were rejected in the ${over}.` : `${now}.`;
  return { headline, facts: facts.filter(([, value]) => value) };
}

function figures(entry) {
  const of = (name) => (entry.last_minute ? entry.last_minute[name] ?? 0 : null);
  return [counter("Admitted", of("admitted"), entry.admitted ?? 0), counter("Rejected", of("rejected"), entry.rejected ?? 0)];
}

const kind = (label, keys = null) => ({ label, row, summary, figures, condition, samples: [["Admitted", "answered"], ["Rejected", "rejected"], null], keys });

/** The kinds of this module, by `entry.kind`. */
export const LIMITS = {
  rate_limit: kind("Rate limit"),
  rate_limit_group: kind("Rate limit with keys", "rate_limit"),
  bulkhead: kind("Bulkhead"),
  bulkhead_group: kind("Bulkhead with keys", "bulkhead"),
};

/** Returns the texts of one key of a group. */
export function limitKey(entry) {
  const used = entry.in_window ?? entry.in_flight ?? 0;
  const capacity = entry.burst ?? entry.limit ?? entry.max_concurrent ?? 0;
  return { state: capacity && used >= capacity ? "full" : "free", label: `${count(used)} of ${count(capacity)}`, text: `${count(entry.rejected ?? 0)} rejected` };
}

/** The section of rate limits and bulkheads. */
export class LimitSection extends RowSection {
  constructor(container, ctx) {
    super(container, ctx, "Rate limits and bulkheads", LIMITS);
  }
}
