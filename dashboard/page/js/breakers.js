// The details of breakers: of one, of one key, and of all keys together.

import { STATES, clock, count, counted, duration, stateLabel } from "./format.js";
import { circuits, circuitsText } from "./figures.js";
import { isOverride } from "./override.js";
import { breakerFigures } from "./totals.js";
import { breakerSummary, callers } from "./summary.js";

const SAMPLES = [["Succeeded", "answered"], ["Failed", "failed"], ["Rejected", "rejected"]];

/** Returns the number of keys in each condition, the most severe first, without zeros. */
const keysByCondition = (entry) => Object.keys(STATES).map((state) => [state, entry[state.replace("-", "_")] ?? 0]).filter(([, number]) => number);

function groupCondition(entry) {
  const [worst] = keysByCondition(entry);
  if (!worst || worst[0] === "closed") return { state: "closed", label: entry.keys ? "All closed" : "No keys yet" };
  return { state: worst[0], label: `${count(worst[1])} ${stateLabel(worst[0]).toLowerCase()}` };
}

/** Returns the facts about the override of all keys: who, why, since when and until when. */
function overrideFacts({ forced_open: forced = 0, disabled = 0 }, latest, now) {
  if (!forced && !disabled) return [];
  if (!latest || !isOverride(latest.to)) return [["Override", `${counted(forced + disabled, "key")} one by one: who and why is shown with each key`]];
  const { to, operator, at, reason, expires_at: end } = latest;
  const action = `${stateLabel(to)} by ${operator || "an operator"} at ${clock(at)}, for ${duration(Math.max(0, now - at))}${reason ? `: “${reason}”` : ""}`;
  return [["Override", action], ["Next", end ? `The override expires at ${clock(end)}${end > now ? ` (in ${duration(end - now)})` : ""}` : "No expiry: until an operator resets it"]];
}

function groupHeadline(entry) {
  const { open = 0, forced_open: forced = 0, half_open: testing = 0 } = entry;
  if (open + forced) return `Down for ${count(open + forced)} of ${circuitsText(entry)}: their calls are rejected.`;
  if (testing) return `Testing the recovery of ${count(testing)} of ${circuitsText(entry)}: only their trial calls are admitted.`;
  return "No key is open: calls are admitted.";
}

function groupSummary(entry, now, overrides) {
  const { open = 0, forced_open: forced = 0, keys = 0, max_keys: most = 0 } = entry;
  const rejecting = open + forced;
  const latest = overrides.at(-1);
  const states = keysByCondition(entry).map(([state, number]) => `${count(number)} ${stateLabel(state).toLowerCase()}`).join(", ");
  return {
    headline: groupHeadline(entry),
    facts: [["Keys", `${count(keys)} of at most ${count(most)}${circuits(entry) > keys ? "; the overflow circuit serves all others" : ""}`], ["Circuits", states], ...overrideFacts(entry, latest, now),
      ["Callers get", callers(entry, rejecting ? latest?.at : null, now)]].filter(([, text]) => text),
  };
}

const one = (label) => ({
  label,
  summary: breakerSummary,
  figures: breakerFigures,
  condition: ({ condition }) => ({ state: condition, label: stateLabel(condition) }),
  samples: SAMPLES,
  acts: true,
});

/** The kinds of this module, by `entry.kind`. */
export const BREAKERS = {
  breaker: one("Circuit breaker"),
  key: one("Circuit breaker of one key"),
  group: { label: "Circuit breakers, one for each key", summary: groupSummary, figures: breakerFigures, condition: groupCondition, samples: SAMPLES, acts: true, keys: "breaker" },
};
