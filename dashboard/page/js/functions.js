// Functions with a fallback or a timeout.

import { count, counted, measured } from "./format.js";
import { counter, lastMinute } from "./totals.js";
import { FAILING } from "./retry.js";
import { RowSection } from "./section.js";
import { shares } from "./shares.js";

const PARTS = [["answered", "answered", true], ["fallback", "fallback", true], ["failed", "failed", true], ["cancelled", "cancelled", false], ["panicked", "panicked", false]];
const STYLES = { panicked: "failed" };
const callsOf = (counts) => (counts ? PARTS.reduce((total, [name]) => total + (counts[name] ?? 0), 0) : 0);
const parts = (counts) => PARTS.map(([name, label, always]) => ({ style: STYLES[name] ?? name, label, number: counts[name] ?? 0, always }));

function condition(entry) {
  const { last_minute: minute } = entry;
  if (!callsOf(entry)) return { state: "idle", label: "Not called yet" };
  if (!callsOf(minute)) return { state: "idle", label: minute ? "No calls in the last minute" : "Not measured yet" };
  const errors = (minute.failed ?? 0) + (minute.panicked ?? 0);
  if (errors >= callsOf(minute) * FAILING) return { state: "failing", label: "Callers get errors" };
  if (errors) return { state: "full", label: "A few callers get errors" };
  if (!minute.answered && !minute.fallback) return { state: "idle", label: "All calls cancelled" };
  return minute.fallback ? { state: "full", label: "Fallback in use" } : { state: "free", label: "Answered" };
}

function fallbackRow(entry) {
  const total = callsOf(entry);
  const active = callsOf(entry.last_minute);
  return {
    ...condition(entry),
    caption: active ? `${counted(active, "call")} in the ${lastMinute(entry.last_minute)}` : total ? `${counted(total, "call")} since start` : "Not called yet",
    parts: total ? parts(active ? entry.last_minute : entry) : [],
    text: entry.breakers?.length ? `Breakers: ${entry.breakers.join(", ")}` : "",
  };
}

function fallbackSummary(entry) {
  const total = callsOf(entry);
  const active = callsOf(entry.last_minute);
  const shown = parts(active ? entry.last_minute : entry);
  const texts = shares(shown.map(({ number }) => number));
  const outcome = shown.map(({ number, always, label }, index) => (number || always) && `${texts[index]} ${label}`).filter(Boolean).join(", ");
  return {
    headline: total ? `${counted(active || total, "call")} ${active ? `in the ${lastMinute(entry.last_minute)}` : "since the start"}: ${outcome}.` : "Not called yet.",
    facts: entry.breakers?.length ? [["Breakers", entry.breakers.join(", ")]] : [],
  };
}

function fallbackFigures(entry) {
  const { last_minute: minute } = entry;
  const labels = { answered: "Answered by the call itself", fallback: "Answered by a fallback", failed: "Error to the caller", cancelled: "Cancelled", panicked: "Panicked" };
  return PARTS.map(([name]) => counter(labels[name], minute ? minute[name] ?? 0 : null, entry[name] ?? 0));
}

function timeoutCondition({ timed_out: total, last_minute: minute }) {
  if (minute?.timed_out) return { state: "full", label: "Timing out" };
  return { state: "idle", label: total ? "No timeout in the last minute" : "Never timed out" };
}
/** Returns the number of timeouts of the last minute, if it is known, else since the start. */
const timedOut = ({ timed_out: total = 0, last_minute: minute }) => (minute ? [minute.timed_out ?? 0, `in the ${lastMinute(minute)}`] : [total, "since start"]);
const limitText = ({ limit }) => (limit == null ? "limit computed for each call" : `limit ${measured(limit)}`);

/** The kinds of this module, by `entry.kind`. */
export const FUNCTIONS = {
  fallback: { label: "Function with a fallback", row: fallbackRow, summary: fallbackSummary, figures: fallbackFigures, condition, samples: [["Answered", "answered"], ["Fallback", "fallback"], ["Failed", "failed"]] },
  timeout: {
    label: "Function with a timeout",
    row: (entry) => ({ ...timeoutCondition(entry), caption: `Timeout · ${limitText(entry)}`, value: `${count(timedOut(entry)[0])} timed out`, text: timedOut(entry)[1] }),
    summary: (entry) => ({ headline: `${counted(timedOut(entry)[0], "call")} timed out ${timedOut(entry)[1]}.`, facts: [["Limit", limitText(entry).replace("limit ", "")]] }),
    figures: (entry) => [counter("Timed out", entry.last_minute ? entry.last_minute.timed_out ?? 0 : undefined, entry.timed_out ?? 0)],
    condition: timeoutCondition,
    samples: [["Timed out", "failed"], null, null],
  },
};

/** The section of fallbacks and timeouts. */
export class FunctionSection extends RowSection {
  constructor(container, ctx) {
    super(container, ctx, "Fallbacks and timeouts", FUNCTIONS);
  }
}
