// The lines at the top: what is down, since when, and what the callers get over all.

import { clock, count, counted, duration, element, rate, setAttribute, setText, shortened, stateLabel, title } from "./format.js";
import { overallOutcomes } from "./figures.js";
import { shares } from "./shares.js";

/** The conditions in which calls are rejected. */
const DOWN = ["open", "half-open", "forced-open"];
/** Other conditions that are worth a look. */
const NOTABLE = ["hung", "ramping", "observing", "disabled"];
const OUTCOMES = ["answered", "fallback", "failed"];
const MAX_NAMES = 3;

export class Overview {
  #parts;
  #bar = OUTCOMES.map((name) => element("i", { class: name }));

  /** @param {{node, head, text, bar, outcomes, label, rate}} parts elements of the page */
  constructor(parts) {
    this.#parts = parts;
    parts.bar.append(...this.#bar);
  }

  /** Shows the present state of all rows; with `asOf`, that of an earlier time, because newer data is missing. */
  update(store, now, asOf) {
    if (!store.meta) return;
    const rows = [...store.rows.values()];
    const breakers = rows.filter(({ kind }) => kind === "breaker");
    const allDown = rows.filter(({ condition }) => DOWN.includes(condition));
    const down = allDown.filter(({ kind }) => kind === "breaker");
    const total = (names) => names.reduce((sum, name) => sum + (store.meta.counts[name] ?? 0), 0);
    const known = total(Object.keys(store.meta.counts));
    const keysDown = total(DOWN) - down.length;
    const { node, head, text } = this.#parts;
    const state = down.length || keysDown ? "open" : total(NOTABLE) ? "half-open" : "closed";
    setAttribute(node, "data-state", asOf ? "unknown" : known ? state : "unknown");
    const prefix = asOf ? `At ${clock(asOf)}: ` : "";
    setText(head, prefix + (known ? headOf(down.length, keysDown) : store.complete ? "No breakers yet" : "Loading…"));
    setText(text, known ? [longest(down.length ? down : allDown, keysDown, now) || quiet(breakers.length, known), notable(store.meta.counts)].filter(Boolean).join(". ") : "");
    this.#showOutcomes(rows);
    return down.length + keysDown;
  }

  #showOutcomes(rows) {
    const sum = overallOutcomes(rows);
    const parts = OUTCOMES.map((name) => sum[name]);
    const total = parts.reduce((all, part) => all + part, 0);
    const texts = shares(parts);
    this.#bar.forEach((part, index) => {
      part.hidden = !parts[index];
      part.style.flexGrow = String(total ? Math.round((parts[index] / total) * 1000) : 0);
    });
    this.#parts.bar.hidden = !total;
    const named = OUTCOMES.map((name, index) => [parts[index], name, texts[index]]).filter(([part, name]) => part || name === "answered");
    const { outcomes, label, rate: rateNode } = this.#parts;
    setText(label, `What callers got in the last ${sum.seconds && sum.seconds < 55 ? duration(sum.seconds) : "minute"}`);
    setText(rateNode, total ? rate(total / Math.max(sum.seconds, 1)) : "");
    const labels = total ? named.map(([, name, share]) => [name, `${share} ${name}`]) : [];
    if (outcomes.children.length !== labels.length || !labels.length) outcomes.replaceChildren(...(labels.length ? labels.map(() => element("span")) : [sum.seconds ? "No calls" : "–"]));
    labels.forEach(([style, label], index) => {
      setAttribute(outcomes.children[index], "class", style);
      setText(outcomes.children[index], label);
    });
  }
}

function headOf(down, keysDown) {
  if (down && keysDown) return `${counted(down, "breaker")} and ${counted(keysDown, "key")} down`;
  if (down) return `${counted(down, "breaker")} down`;
  if (keysDown) return `${counted(keysDown, "key")} down`;
  return "Nothing is down";
}

const quiet = (breakers, known) => [breakers ? counted(breakers, "breaker") : "", known > breakers ? counted(known - breakers, "key") : ""].filter(Boolean).join(" and ");

/** Names the breakers that have been down for the longest time, or the keys if no other breakers are down; not all keys are listed. */
function longest(down, keysDown, now) {
  if (!down.length) return "";
  const began = ({ outage, since }) => outage?.since ?? since ?? now;
  let first = down[0];
  for (const row of down) if (began(row) < began(first)) first = row;
  const others = down.filter((row) => row !== first).slice(0, MAX_NAMES - 1).map((row) => shortened(title(row), 40));
  const all = down[0].kind === "key" ? keysDown : down.length;
  const more = all - 1 - others.length;
  const names = [...others, more ? `${count(more)} more` : ""].filter(Boolean);
  return `${shortened(title(first), 56)} for ${duration(now - began(first))}, since ${clock(began(first), now)}${names.length ? `; also ${names.join(", ")}` : ""}`;
}

const notable = (counts) => NOTABLE.filter((name) => counts[name]).map((name) => `${count(counts[name])} ${stateLabel(name).toLowerCase()}`).join(", ");
