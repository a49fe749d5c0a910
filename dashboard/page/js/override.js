// One request for manual control: sent once, with a time limit, and checked again if its answer is lost.

import { HEADER } from "./token.js";

/** The time limit of a request, in milliseconds. */
const TIME_LIMIT = 10_000;
/** The pauses before a lost answer is asked for again, in milliseconds. The server acts once for all requests with the same id. */
const CHECKS = [1_000, 2_000, 4_000, 8_000];

/** True if an operator or the program has overridden the state. */
export const isOverride = (state) => state === "forced-open" || state === "disabled";
/** True if an override of the breaker, or of a key of the group, is in force. */
export const isOverridden = ({ state, forced_open: forced, disabled }) => isOverride(state) || Boolean(forced || disabled);
/** True if a circuit is open by itself: a reset closes it before trial calls have succeeded. */
export const isOpenByItself = ({ state, open, half_open: halfOpen }) => state === "open" || state === "half-open" || Boolean(open || halfOpen);
/** Returns an override of the log with the names of an answer of the server. */
export const answerOf = (event) => (event ? { operator: event.operator, since: event.at, reason: event.reason } : {});
/** Returns a text that differs if an operator has overridden the breaker meanwhile. */
export const overrideOf = ({ state, operator_reason }) => (isOverride(state) ? JSON.stringify([state, operator_reason ?? null]) : "");

/** Returns an id that no other request has. `crypto.randomUUID` exists only in secure contexts. */
export function newRequestId() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * Sends a request. Returns its outcome as `{ kind, ... }`:
 * `applied` with the answer, `conflict` with the change by another operator, `refused` with a text: nothing was done;
 * `unknown`: no answer arrived, so it may have been done.
 */
export async function send(url, token, body) {
  let response;
  let answer;
  try {
    response = await fetch(url, {
      method: "POST",
      headers: { "Content-Type": "application/json", [HEADER]: token },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(TIME_LIMIT),
    });
    answer = await response.json();
  } catch {
    // The answer was lost, or a proxy answered with a page: the server may have applied the override.
    return { kind: "unknown" };
  }
  if (response.ok) return { kind: "applied", ...answer };
  if (response.status === 409) return { kind: "conflict", ...answer };
  if (response.status >= 500) return { kind: "unknown" };
  if (response.status === 401) return { kind: "refused", text: "the token is not valid" };
  return { kind: "refused", text: answer?.error ?? `the server answered ${response.status}` };
}

/** Asks for a lost answer again until it arrives or `isWanted` returns false. `pause` waits for a number of milliseconds. */
export async function check(url, token, body, isWanted, pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))) {
  for (const milliseconds of CHECKS) {
    await pause(milliseconds);
    if (!isWanted()) break;
    const outcome = await send(url, token, body);
    if (outcome.kind !== "unknown") return outcome;
  }
  return { kind: "unknown" };
}

/** Returns the overrides of an entry in the log, oldest first, with those of all keys for a key; none if the log cannot be read. */
export async function overridesOf(ctx, { id, kind, name }) {
  try {
    const response = await fetch(new URL("api/events?limit=1000", ctx.base), { headers: ctx.headers(), signal: AbortSignal.timeout(TIME_LIMIT) });
    const { events } = await response.json();
    return events.filter((event) => event.kind === "override" && (event.id === id || (kind === "key" && event.id === `group ${name}`)));
  } catch {
    return [];
  }
}
