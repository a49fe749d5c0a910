// The lines at the top: what is down, since when and why, and what the callers get over all.

import { clock, count, counted, duration, element, rate, setAttribute, setText, shortened, stateLabel, title } from "./format.js";
import { shares } from "./shares.js";
import { commonCause, failing, troubles } from "./troubles.js";

/** The conditions in which failures have made a breaker reject calls, the most severe one first. */
const DOWN = ["open", "half-open"];
/** Other conditions that are worth a look. */
const NOTABLE = ["hung", "forced-open", "ramping", "observing", "disabled"];
const LABELS = { "ignored": "ignored errors", "forced-open": "forced open by an operator" };
const OUTCOMES = ["answered", "fallback", "failed", "rejected", "ignored", "cancelled"];
const MAX_NAMES = 3;

export class Overview {
  #parts;
  #bar = OUTCOMES.map((name) => element("i", { class: name }));
  #lines = Array.from({ length: 4 }, () => element("p"));

  /** @param {{node, head, text, hint, bar, outcomes, label, rate, badges}} parts elements of the page */
  constructor(parts) {
    this.#parts = parts;
    parts.bar.append(...this.#bar);
    parts.text.append(...this.#lines);
  }

  /**
   * Shows the present state of all rows; with `asOf`, that of an earlier time, because newer data is missing.
   * @returns {string} what is down, for the title of the tab; empty if nothing is
   */
  update(store, now, asOf) {
    if (!store.meta) return "";
    const { counts } = store.meta;
    const rows = [...store.rows.values()];
    const breakers = rows.filter(({ kind }) => kind === "breaker");
    const allDown = rows.filter(({ condition }) => DOWN.includes(condition));
    const down = allDown.filter(({ kind }) => kind === "breaker");
    const total = (names) => names.reduce((sum, name) => sum + (counts[name] ?? 0), 0);
    const known = total(Object.keys(counts));
    const keysDown = total(DOWN) - down.length;
    const forced = counts["forced-open"] ?? 0;
    const others = troubles(rows);
    const failures = failing(rows);
    const numbers = { down: down.length, keysDown, forced, failing: failures.total, hung: counts.hung ?? 0, others: others.total, complete: store.complete };
    const { node, head, text, hint } = this.#parts;
    const state = down.length || keysDown || failures.total ? "open" : total(NOTABLE) || others.total ? "half-open" : "closed";
    setAttribute(node, "data-state", asOf ? "unknown" : known ? state : "unknown");
    const prefix = asOf ? `At ${clock(asOf)}: ` : "";
    setText(head, prefix + (known ? headOf(numbers) : store.complete ? "No breakers yet" : "Loading…"));
    const lines = [
      [worst(down.length ? down : allDown, numbers, now) || (store.complete ? quiet(breakers.length, known) : ""), commonCause(allDown)], [failures.text, others.text], [notable(rows, counts)], [restarts(store, now)],
    ];
    this.#lines.forEach((line, index) => setText(line, known ? lines[index].filter(Boolean).join(". ") : ""));
    text.title = `Now ${clock(now, 0)}`;
    hint.hidden = !store.meta.can_override || state !== "open";
    this.#showBadges(others.total);
    this.#showOutcomes(store.meta.callers);
    const titles = [down.length || keysDown ? `${count(down.length + keysDown)} down` : forced ? `${count(forced)} forced open` : "", failures.total ? `${count(failures.total)} failing` : ""];
    return titles.filter(Boolean).join(", ");
  }

  #showBadges(total) {
    for (const badge of this.#parts.badges) {
      badge.hidden = !total;
      setText(badge, count(total));
      badge.title = `${counted(total, "limit or retry", "limits and retries")} with rejected or failed calls in the last minute`;
    }
  }

  /** Shows what the callers got in the last minute over all, as the server has counted it; `null` if it is not known. */
  #showOutcomes(callers) {
    const { seconds = 0 } = callers ?? {};
    const parts = OUTCOMES.map((name) => callers?.[name] ?? 0);
    const total = parts.reduce((all, part) => all + part, 0);
    const texts = shares(parts);
    this.#bar.forEach((part, index) => {
      part.hidden = !parts[index];
      part.style.flexGrow = String(total ? Math.round((parts[index] / total) * 1000) : 0);
    });
    this.#parts.bar.hidden = !total;
    const named = OUTCOMES.map((name, index) => [parts[index], name, texts[index]]).filter(([part, name]) => part || name === "answered");
    const { outcomes, label, rate: rateNode } = this.#parts;
    setText(label, `What callers got in the last ${seconds && seconds < 55 ? duration(seconds) : "minute"}`);
    setText(rateNode, total ? rate(total / Math.max(seconds, 1)) : "");
    const labels = total ? named.map(([, name, share]) => [name, `${share} ${LABELS[name] ?? name}`]) : [];
    if (outcomes.children.length !== labels.length || !labels.length) outcomes.replaceChildren(...(labels.length ? labels.map(() => element("span")) : [callers ? "No calls" : "–"]));
    labels.forEach(([style, label], index) => {
      setAttribute(outcomes.children[index], "class", style);
      setText(outcomes.children[index], label);
    });
  }
}

function headOf({ down, keysDown, forced, failing: fail, hung, others, complete }) {
  const parts = [downText(down, keysDown, complete) || (forced ? `${count(forced)} forced open` : "")].filter(Boolean);
  for (const [number, label] of [[fail, "failing"], [hung, "hung"]]) if (number) parts.push(`${parts.length ? count(number) : counted(number, "breaker")} ${label}`);
  if (!parts.length) return others ? "No breaker is down" : "Nothing is down";
  const isForcedOnly = forced && !(down || keysDown || fail || hung);
  return isForcedOnly ? `${parts[0]}, no other is down` : parts.join(", ");
}

/** Before all rows have arrived, breakers cannot be told from keys. */
function downText(down, keysDown, complete) {
  if (!complete) return down || keysDown ? `${count(down + keysDown)} down` : "";
  if (down && keysDown) return `${count(down + keysDown)} down: ${counted(down, "breaker")} and ${counted(keysDown, "key")}`;
  return down ? `${counted(down, "breaker")} down` : keysDown ? `${counted(keysDown, "key")} down` : "";
}

const quiet = (breakers, known) => [breakers ? counted(breakers, "breaker") : "", known > breakers ? counted(known - breakers, "key") : ""].filter(Boolean).join(" and ");

/**
 * Names the breakers that are down, in the order of the list: open before half-open, then by the time down. Names the keys if no breakers are
 * down; not all keys are listed.
 */
function worst(down, { keysDown, complete }, now) {
  if (!down.length) return "";
  const began = ({ outage, since }) => outage?.since ?? since ?? now;
  const isBefore = (one, other) => (DOWN.indexOf(one.condition) - DOWN.indexOf(other.condition) || began(one) - began(other)) < 0;
  let first = down[0];
  for (const row of down) if (isBefore(row, first)) first = row;
  const others = down.filter((row) => row !== first).slice(0, MAX_NAMES - 1).map((row) => shortened(title(row), 40));
  const all = down[0].kind === "key" ? keysDown : complete ? down.length : down.length + keysDown;
  const more = all - 1 - others.length;
  const names = [...others, more ? `${count(more)} more` : ""].filter(Boolean);
  return `${shortened(title(first), 56)} for ${duration(now - began(first))}, since ${clock(began(first), now)}${names.length ? `; also ${names.join(", ")}` : ""}`;
}

/** Counts the breakers in other conditions, and names them if they are few. */
function notable(rows, counts) {
  const parts = NOTABLE.filter((name) => counts[name]).map((name) => {
    const found = rows.filter(({ condition }) => condition === name);
    const open = name === "observing" ? found.filter(({ state }) => state && state !== "closed").length : 0;
    const label = `${LABELS[name] ?? stateLabel(name).toLowerCase()}${open ? ` (${count(open)} would be open)` : ""}`;
    const names = found.length === counts[name] && found.length < MAX_NAMES ? `: ${found.map((row) => shortened(title(row), 40)).join(", ")}` : "";
    return `${count(counts[name])} ${label}${names}`;
  });
  return parts.join("; ");
}

/** Tells of the starts of the program that the page has seen. */
function restarts({ meta, restarts: number }, now) {
  if (!number) return "";
  const last = `${duration(now - meta.started)} ago, at ${clock(meta.started, now)}`;
  return `The program was restarted ${number === 1 ? "" : `${number} times while this page was open, most recently `}${last}`;
}
