// The page: what there is, which of it is shown and in which order. Entries are replaced as they come; cards stay.

import { BreakerCard, GroupCard } from "./card.js";
import { Details } from "./details.js";
import { ORDER, STATES, clock, count, element, icon, keyText, setText, title } from "./format.js";
import { Limits, isLimit } from "./limit.js";
import { connect } from "./live.js";
import { RetryRow } from "./retry.js";

const get = (id) => document.getElementById(id);
const base = new URL(document.documentElement.dataset.base, location.href);
const LOG_LINES = 40;
/** How long the rates look back. */
const RATE_SPAN = 5;

const entries = new Map();
const cards = new Map();
const samples = new Map();
const rows = new Map();
let clockSkew = 0;
let canAct = false;
let started = 0;
let filter = new Set();

const details = new Details(get("details"), new URL("api/actions", base));
const limits = new Limits(get("limits"), get("limit-cards"));
const now = () => Date.now() / 1000 - clockSkew;

function open(id) {
  const entry = entries.get(id);
  if (entry) details.open(entry, now(), { canAct, started });
}

/* What comes in */

function all(message) {
  clockSkew = Date.now() / 1000 - message.now;
  canAct = message.can_act;
  // Another process: what its breakers count and remember begins anew.
  if (started !== message.started) for (const id of [...entries.keys()]) remove(id);
  started = message.started;
  setText(get("access"), canAct ? "Actions with token" : "Read-only");
  const before = new Map(entries);
  entries.clear();
  for (const entry of message.set) entries.set(entry.id, entry);
  for (const id of before.keys()) if (!entries.has(id)) remove(id);
  refresh(message.set, before);
}

function changes(message) {
  clockSkew = Date.now() / 1000 - message.now;
  const before = new Map(message.set.map(({ id }) => [id, entries.get(id)]));
  for (const entry of message.set) entries.set(entry.id, entry);
  for (const id of message.gone) {
    entries.delete(id);
    remove(id);
  }
  refresh(message.set, before);
}

function remove(id) {
  cards.get(id)?.node.remove();
  cards.delete(id);
  samples.delete(id);
  limits.remove(id);
  rows.get(id)?.node.remove();
  rows.delete(id);
}

function refresh(changed, before) {
  const at = now();
  const moved = changed.filter((entry) => before.get(entry.id)?.state !== entry.state);
  const groups = new Set();
  for (const entry of changed) {
    if (entry.kind === "breaker") card(entry, BreakerCard).update(entry, at);
    if (entry.kind === "retry") row(entry).update(entry);
    if (isLimit(entry)) limits.update(entry);
    if (entry.kind === "group" || entry.kind === "key") groups.add(`group ${entry.name}`);
    if (details.shown === entry.id) details.update(entry, at);
  }
  for (const id of groups) {
    const group = entries.get(id);
    if (group) card(group, GroupCard).update(group, keysOf(group.name));
  }
  announce(moved.filter((entry) => before.get(entry.id)));
  tallies();
  arrange();
  if (moved.length || !before.size) log();
}

function card(entry, Card) {
  if (!cards.has(entry.id)) cards.set(entry.id, new Card(entry, open, started));
  return cards.get(entry.id);
}

function row(entry) {
  if (!rows.has(entry.id)) {
    rows.set(entry.id, new RetryRow(entry));
    get("retry-list").append(rows.get(entry.id).node);
    get("retries").hidden = false;
  }
  return rows.get(entry.id);
}

function keysOf(name) {
  const keys = [...entries.values()].filter((entry) => entry.kind === "key" && entry.name === name);
  return keys.sort((one, other) => trouble(one) - trouble(other) || other.rejections - one.rejections || byName(one, other));
}

/* Which cards, and in which order */

const byName = (one, other) => title(one).localeCompare(title(other), undefined, { numeric: true });
const worst = (entry) => (entry.kind === "group" ? ORDER.find((state) => entry[state.replace("-", "_")] > 0) ?? "closed" : entry.state);
const trouble = (entry) => ORDER.indexOf(worst(entry));

/** How near a closed one is to opening. */
function nearness(entry) {
  const threshold = entry.limits?.threshold;
  if (!threshold) return 0;
  if (threshold.rule === "consecutive_failures") return entry.consecutive_failures / threshold.failures;
  const { calls = 0, failures = 0 } = entry.window ?? {};
  return calls ? failures / calls / threshold.failure_rate : 0;
}

const SORTS = {
  // Whole steps, or cards would change places with every call.
  trouble: (one, other) => trouble(one) - trouble(other) || Math.floor(nearness(other) * 2) - Math.floor(nearness(one) * 2) || byName(one, other),
  name: byName,
  rejections: (one, other) => other.rejections - one.rejections || byName(one, other),
  failures: (one, other) => other.failures - one.failures || byName(one, other),
  changed: (one, other) => (other.since ?? 0) - (one.since ?? 0) || byName(one, other),
};

/** A limit that rejects is at work, not in trouble: one that has rejected much comes first all the same. */
const LIMIT_SORTS = { name: byName, rejections: byRejected, trouble: byRejected, failures: byRejected, changed: byName };
function byRejected(one, other) {
  return other.rejected - one.rejected || byName(one, other);
}

function matchesLimit(entry, wanted) {
  // The filter is one by states of breakers.
  if (filter.size) return false;
  const names = [entry.name, ...(entry.most_rejected ?? []).map(keyText)];
  return names.some((name) => name.toLowerCase().includes(wanted));
}

function matches(entry, wanted) {
  const inState = !filter.size || (entry.kind === "group" ? [...filter].some((state) => entry[state.replace("-", "_")] > 0) : filter.has(entry.state));
  if (!inState || !wanted) return inState;
  const names = entry.kind === "group" ? [entry.name, ...keysOf(entry.name).map(keyText)] : [entry.name];
  return names.some((name) => name.toLowerCase().includes(wanted));
}

function arrange() {
  const wanted = get("find").value.trim().toLowerCase();
  const listed = [...entries.values()].filter((entry) => cards.has(entry.id));
  const shown = listed.filter((entry) => matches(entry, wanted)).sort(SORTS[get("sort").value]);
  const list = get("cards");
  const focused = document.activeElement;
  const keep = new Set(shown.map(({ id }) => cards.get(id).node));
  for (const node of [...list.children]) if (!keep.has(node)) node.remove();
  shown.forEach(({ id }, index) => {
    const { node } = cards.get(id);
    if (list.children[index] !== node) list.insertBefore(node, list.children[index] ?? null);
  });
  // A card that is moved loses the focus.
  if (focused !== document.activeElement && focused?.isConnected) focused.focus({ preventScroll: true });
  limits.arrange([...entries.values()], (entry) => matchesLimit(entry, wanted), LIMIT_SORTS[get("sort").value]);
  get("none").hidden = shown.length > 0 || listed.length === 0;
  const all = `${count(listed.length)} ${listed.length === 1 ? "breaker" : "breakers"}`;
  setText(get("found"), shown.length === listed.length ? all : `${count(shown.length)} of ${all}`);
}

const tallyButtons = new Map(ORDER.map((state) => {
  const number = element("b", {}, "0");
  const button = element("button", { type: "button", class: "tally", "data-state": state, "aria-pressed": "false" },
    icon(state), number, STATES[state].word.toLowerCase());
  button.addEventListener("click", () => {
    if (!filter.delete(state)) filter.add(state);
    button.setAttribute("aria-pressed", String(filter.has(state)));
    arrange();
  });
  return [state, { button, number }];
}));
get("tallies").append(...[...tallyButtons.values()].map(({ button }) => button));

function tallies() {
  const numbers = Object.fromEntries(ORDER.map((state) => [state, 0]));
  for (const entry of entries.values()) {
    if (entry.kind === "breaker") numbers[entry.state] += 1;
    if (entry.kind === "group") for (const state of ORDER) numbers[state] += entry[state.replace("-", "_")];
  }
  for (const [state, { button, number }] of tallyButtons) {
    setText(number, count(numbers[state]));
    button.classList.toggle("some", numbers[state] > 0 && state !== "closed");
  }
  const bad = numbers.open + numbers["forced-open"];
  document.title = bad ? `${bad} open · Circuit breakers` : "Circuit breakers";
}

/* What is said */

function announce(moved) {
  if (!moved.length) return;
  const said = moved.slice(0, 3).map((entry) => `${title(entry)} is ${(STATES[entry.state]?.word ?? entry.state).toLowerCase()}`);
  if (moved.length > 3) said.push(`and ${moved.length - 3} more`);
  setText(get("announce"), said.join(", "));
}

function log() {
  const lines = [...entries.values()]
    .filter((entry) => entry.recent)
    .flatMap((entry) => entry.recent.filter((line) => line.to).map((line) => ({ ...line, name: title(entry) })))
    .sort((one, other) => other.at - one.at)
    .slice(0, LOG_LINES);
  get("log-none").hidden = lines.length > 0;
  get("log").replaceChildren(...lines.map((line) =>
    element("li", { "data-state": line.to }, icon(line.to),
      element("span", {}, element("b", {}, line.name), " ", element("em", {}, (STATES[line.to]?.word ?? line.to).toLowerCase()), " ", element("time", {}, clock(line.at))),
      ...(line.text ? [element("p", {}, line.text)] : []))));
}

/* As time passes */

function sample() {
  const at = now();
  for (const [id, shown] of cards) {
    const { successes, failures, rejections } = entries.get(id);
    const past = samples.get(id) ?? [];
    past.push({ at, successes, failures, rejections });
    while (past.length > 1 && past[0].at < at - RATE_SPAN - 0.5) past.shift();
    samples.set(id, past);
    const apart = at - past[0].at;
    const per = (key) => (apart > 0.5 ? Math.max(0, entries.get(id)[key] - past[0][key]) / apart : 0);
    shown.rates({ successes: per("successes"), failures: per("failures"), rejections: per("rejections") });
    shown.tick(at);
  }
  limits.sample(entries, at, RATE_SPAN);
  details.tick(at);
}
setInterval(sample, 1000);

/* Controls */

get("find").addEventListener("input", arrange);
get("sort").addEventListener("change", arrange);
get("clear").addEventListener("click", () => {
  get("find").value = "";
  filter = new Set();
  for (const { button } of tallyButtons.values()) button.setAttribute("aria-pressed", "false");
  arrange();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && !event.ctrlKey && !event.metaKey && !/^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName) && !get("details").open) {
    event.preventDefault();
    get("find").focus();
  }
});

const THEMES = { "": ["Auto", "as the system has it"], light: ["Light", "light"], dark: ["Dark", "dark"] };
function theme(name) {
  if (name) document.documentElement.dataset.theme = name;
  else delete document.documentElement.dataset.theme;
  setText(get("theme"), THEMES[name][0]);
  get("theme").setAttribute("aria-label", `Theme: ${THEMES[name][1]}`);
}
get("theme").addEventListener("click", () => {
  const names = Object.keys(THEMES);
  const next = names[(names.indexOf(document.documentElement.dataset.theme ?? "") + 1) % names.length];
  localStorage.setItem("steadfast-theme", next);
  theme(next);
});
const stored = localStorage.getItem("steadfast-theme") ?? "";
theme(stored in THEMES ? stored : "");

setText(get("host"), location.host);
const STATUS = { connecting: "Connecting", live: "Live", lost: "Connection lost, trying again" };
connect(new URL("api/live", base), {
  onAll: all,
  onChanges: changes,
  onStatus: (status) => {
    get("live").dataset.state = status;
    setText(get("live-text"), STATUS[status]);
  },
});
