// One request for manual control: sent once, with a time limit, and checked again if its answer is lost. The overrides of the log.

import { stateLabel } from "./format.js";
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
/** Returns a text that differs if an override has made another state. */
const overrideOf = ({ state, operator_reason: reason }) => (isOverride(state) ? JSON.stringify([state, reason ?? null]) : "");

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

/** Asks for a lost answer again, at most four times. `pause` waits for a number of milliseconds. */
export async function check(url, token, body, pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))) {
  for (const milliseconds of CHECKS) {
    await pause(milliseconds);
    const outcome = await send(url, token, body);
    if (outcome.kind !== "unknown") return outcome;
  }
  return { kind: "unknown" };
}

/** Reads overrides from the log, oldest first; none if it cannot be read. */
async function readOverrides(ctx, parameters) {
  const url = new URL("api/events", ctx.base);
  url.search = new URLSearchParams({ kind: "override", limit: 1000, ...parameters });
  try {
    const response = await fetch(url, { headers: ctx.headers(), signal: AbortSignal.timeout(TIME_LIMIT) });
    const { events } = await response.json();
    return events.filter((event) => event.kind === "override");
  } catch {
    return [];
  }
}

/** Returns the overrides of an entry in the log, oldest first, with those of all keys for a key. */
export async function overridesOf(ctx, { id, kind, name }) {
  const events = await readOverrides(ctx, {});
  return events.filter((event) => event.id === id || (kind === "key" && event.id === `group ${name}`));
}

/** Returns the last override of an entry with the names of an answer of the server; nothing if the log does not have it. */
export async function lastOverride(ctx, { last_override: n }) {
  const event = n ? (await readOverrides(ctx, { after: n - 1 })).find((event) => event.n === n) : null;
  if (!event) return {};
  const { at, operator, reason, action, key } = event;
  return { n, at, operator, reason, action, key };
}

/** True if an entry has an override that an earlier reading of it has not: by its number, or by the state if the program has made it. */
export function isUnseen(entry, earlier) {
  return (entry.last_override ?? 0) > (earlier.last_override ?? 0) || overrideOf(entry) !== overrideOf(earlier);
}

const ACTION_NAMES = { "force_open": "forced it open", "forced-open": "forced it open", "disable": "disabled it", "disabled": "disabled it" };

/** Tells the change that an answer or an entry describes: who has done what, and for which key; or the state. */
export function changeText({ state, operator, action, key }) {
  const who = operator || (action || isOverride(state) ? "Another operator" : "");
  if (!who) return `It changed to ${stateLabel(state).toLowerCase()}`;
  return `${who} ${(ACTION_NAMES[action ?? state] ?? "reset it").replace(/it/, () => (key == null ? "it" : `the key “${key}”`))}`;
}
