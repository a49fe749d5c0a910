// The page: applies the event stream to the entries, and arranges their cards. An event replaces entries; their cards are kept.

import { BreakerCard, GroupCard } from "./card.js";
import { Details } from "./details.js";
import { STATE_NAMES, STATES, clock, count, counted, element, icon, keyText, setText, stateLabel, title } from "./format.js";
import { LimitSection, isLimit } from "./limits.js";
import { connect } from "./live.js";
import { RetryRow } from "./retry.js";

const byId = (id) => document.getElementById(id);
const base = new URL(document.documentElement.dataset.base, location.href);
const MAX_LOG_LINES = 40;
/** The period over which rates are measured, in seconds. */
const RATE_PERIOD = 5;

const entries = new Map();
const cards = new Map();
const samples = new Map();
const retryRows = new Map();
/** The browser's clock minus the server's, in seconds. */
let clockSkew = 0;
let canOverride = false;
/** The time at which the server's dashboard was created. */
let started = 0;
/** The states to show; all if empty. */
let stateFilter = new Set();

const details = new Details(byId("details"), new URL("api/overrides", base));
const limits = new LimitSection(byId("limits"), byId("limit-cards"));
const now = () => Date.now() / 1000 - clockSkew;

function openDetails(id) {
  const entry = entries.get(id);
  if (entry) details.open(entry, now(), { canOverride, started });
}

/* The event stream */

function onAll(message) {
  clockSkew = Date.now() / 1000 - message.now;
  canOverride = message.can_override;
  // The server was restarted: its counts and its history start from zero.
  if (started !== message.started) for (const id of [...entries.keys()]) remove(id);
  started = message.started;
  setText(byId("access"), canOverride ? "Manual control with token" : "Read-only");
  const before = new Map(entries);
  entries.clear();
  for (const entry of message.entries) entries.set(entry.id, entry);
  for (const id of before.keys()) if (!entries.has(id)) remove(id);
  refresh(message.entries, before);
}

function onChanges(message) {
  clockSkew = Date.now() / 1000 - message.now;
  const before = new Map(message.entries.map(({ id }) => [id, entries.get(id)]));
  for (const entry of message.entries) entries.set(entry.id, entry);
  for (const id of message.removed) {
    entries.delete(id);
    remove(id);
  }
  refresh(message.entries, before);
}

function remove(id) {
  cards.get(id)?.node.remove();
  cards.delete(id);
  samples.delete(id);
  limits.remove(id);
  retryRows.get(id)?.node.remove();
  retryRows.delete(id);
}

/** Updates the page; `before` maps ids to the entries that `changed` replaces. */
function refresh(changed, before) {
  const at = now();
  const stateChanged = changed.filter((entry) => before.get(entry.id)?.state !== entry.state);
  const groups = new Set();
  for (const entry of changed) {
    if (entry.kind === "breaker") cardFor(entry, BreakerCard).update(entry, at);
    if (entry.kind === "retry") retryRow(entry).update(entry);
    if (isLimit(entry)) limits.update(entry);
    if (entry.kind === "group" || entry.kind === "key") groups.add(`group ${entry.name}`);
    if (details.shown === entry.id) details.update(entry, at);
  }
  for (const id of groups) {
    const group = entries.get(id);
    if (group) cardFor(group, GroupCard).update(group, keysOf(group.name));
  }
  announce(stateChanged.filter((entry) => before.get(entry.id)));
  updateStateCounts();
  arrange();
  if (stateChanged.length || !before.size) updateLog();
}

function cardFor(entry, Card) {
  if (!cards.has(entry.id)) cards.set(entry.id, new Card(entry, openDetails, started));
  return cards.get(entry.id);
}

function retryRow(entry) {
  if (!retryRows.has(entry.id)) {
    retryRows.set(entry.id, new RetryRow(entry));
    byId("retry-list").append(retryRows.get(entry.id).node);
    byId("retries").hidden = false;
  }
  return retryRows.get(entry.id);
}

function keysOf(name) {
  const keys = [...entries.values()].filter((entry) => entry.kind === "key" && entry.name === name);
  return keys.sort((one, other) => severity(one) - severity(other) || other.rejections - one.rejections || byName(one, other));
}

/* Filters and order */

const countInState = (group, state) => group[state.replace("-", "_")];
const byName = (one, other) => title(one).localeCompare(title(other), undefined, { numeric: true });
const worstState = (entry) => (entry.kind === "group" ? STATE_NAMES.find((state) => countInState(entry, state) > 0) ?? "closed" : entry.state);
/** The rank of an entry's state; 0 is the most severe one. */
const severity = (entry) => STATE_NAMES.indexOf(worstState(entry));

/** The failures or failure rate of a closed breaker as a share of its threshold; 1 opens it. */
function thresholdShare(entry) {
  const threshold = entry.config?.threshold;
  if (!threshold) return 0;
  const inARow = threshold.failures ? entry.consecutive_failures / threshold.failures : 0;
  const { calls = 0, failures = 0 } = entry.window ?? {};
  return Math.max(inARow, calls ? failures / calls / threshold.failure_rate : 0);
}

const SORTS = {
  // The shares are compared in steps of one half, so that cards do not move with every call.
  severity: (one, other) => severity(one) - severity(other) || Math.floor(thresholdShare(other) * 2) - Math.floor(thresholdShare(one) * 2) || byName(one, other),
  name: byName,
  rejections: (one, other) => other.rejections - one.rejections || byName(one, other),
  failures: (one, other) => other.failures - one.failures || byName(one, other),
  changed: (one, other) => (other.since ?? 0) - (one.since ?? 0) || byName(one, other),
};

/**
 * The comparison of limits for each sort option. A limit has neither a state nor failures, so its rejections are compared instead. It has
 * no last change, so its name is compared instead.
 */
const LIMIT_SORTS = { name: byName, rejections: byRejected, severity: byRejected, failures: byRejected, changed: byName };
function byRejected(one, other) {
  return other.rejected - one.rejected || byName(one, other);
}

function limitMatches(entry, query) {
  // Limits have no state, so a filter by state hides them.
  if (stateFilter.size) return false;
  const names = [entry.name, ...(entry.most_rejected ?? []).map(keyText)];
  return names.some((name) => name.toLowerCase().includes(query));
}

function breakerMatches(entry, query) {
  const stateMatches = !stateFilter.size || (entry.kind === "group" ? [...stateFilter].some((state) => countInState(entry, state) > 0) : stateFilter.has(entry.state));
  if (!stateMatches || !query) return stateMatches;
  const names = entry.kind === "group" ? [entry.name, ...keysOf(entry.name).map(keyText)] : [entry.name];
  return names.some((name) => name.toLowerCase().includes(query));
}

function arrange() {
  const query = byId("search").value.trim().toLowerCase();
  const all = [...entries.values()].filter((entry) => cards.has(entry.id));
  const shown = all.filter((entry) => breakerMatches(entry, query)).sort(SORTS[byId("sort").value]);
  const list = byId("cards");
  const focused = document.activeElement;
  const keep = new Set(shown.map(({ id }) => cards.get(id).node));
  for (const node of [...list.children]) if (!keep.has(node)) node.remove();
  shown.forEach(({ id }, index) => {
    const { node } = cards.get(id);
    if (list.children[index] !== node) list.insertBefore(node, list.children[index] ?? null);
  });
  // Moving a card in the document removes the focus from it.
  if (focused !== document.activeElement && focused?.isConnected) focused.focus({ preventScroll: true });
  limits.arrange([...entries.values()], (entry) => limitMatches(entry, query), LIMIT_SORTS[byId("sort").value]);
  byId("no-match").hidden = shown.length > 0 || all.length === 0;
  const total = counted(all.length, "breaker");
  setText(byId("match-count"), shown.length === all.length ? total : `${count(shown.length)} of ${total}`);
}

const stateButtons = new Map(STATE_NAMES.map((state) => {
  const number = element("b", {}, "0");
  const button = element("button", { type: "button", class: "state-filter", "data-state": state, "aria-pressed": "false" },
    icon(state), number, STATES[state].label.toLowerCase());
  button.addEventListener("click", () => {
    if (!stateFilter.delete(state)) stateFilter.add(state);
    button.setAttribute("aria-pressed", String(stateFilter.has(state)));
    arrange();
  });
  return [state, { button, number }];
}));
byId("state-filters").append(...[...stateButtons.values()].map(({ button }) => button));

function updateStateCounts() {
  const counts = Object.fromEntries(STATE_NAMES.map((state) => [state, 0]));
  for (const entry of entries.values()) {
    if (entry.kind === "breaker") counts[entry.state] += 1;
    if (entry.kind === "group") for (const state of STATE_NAMES) counts[state] += countInState(entry, state);
  }
  for (const [state, { button, number }] of stateButtons) {
    setText(number, count(counts[state]));
    button.classList.toggle("nonzero", counts[state] > 0 && state !== "closed");
  }
  const open = counts.open + counts["forced-open"];
  document.title = open ? `${open} open · Circuit breakers` : "Circuit breakers";
}

/* Announcements and the log */

/** Announces state changes to screen readers. */
function announce(changed) {
  if (!changed.length) return;
  const parts = changed.slice(0, 3).map((entry) => `${title(entry)} is ${stateLabel(entry.state).toLowerCase()}`);
  if (changed.length > 3) parts.push(`and ${changed.length - 3} more`);
  setText(byId("announcement"), parts.join(", "));
}

function updateLog() {
  const changes = [...entries.values()]
    .filter((entry) => entry.recent)
    .flatMap((entry) => entry.recent.filter((event) => event.to).map((event) => ({ ...event, name: title(entry) })))
    .sort((one, other) => other.at - one.at)
    .slice(0, MAX_LOG_LINES);
  byId("log-empty").hidden = changes.length > 0;
  byId("log").replaceChildren(...changes.map(({ at, to, name, reason }) =>
    element("li", { "data-state": to }, icon(to),
      element("span", {}, element("b", {}, name), " ", element("em", {}, stateLabel(to).toLowerCase()), " ", element("time", {}, clock(at))),
      ...(reason ? [element("p", {}, reason)] : []))));
}

/* Once a second */

function sample() {
  const at = now();
  for (const [id, card] of cards) {
    const { successes, failures, rejections } = entries.get(id);
    const past = samples.get(id) ?? [];
    past.push({ at, successes, failures, rejections });
    while (past.length > 1 && past[0].at < at - RATE_PERIOD - 0.5) past.shift();
    samples.set(id, past);
    const elapsed = at - past[0].at;
    const perSecond = (key) => (elapsed > 0.5 ? Math.max(0, entries.get(id)[key] - past[0][key]) / elapsed : 0);
    card.rates({ successes: perSecond("successes"), failures: perSecond("failures"), rejections: perSecond("rejections") });
    card.tick(at);
  }
  limits.sample(entries, at, RATE_PERIOD);
  details.tick(at);
}
setInterval(sample, 1000);

/* Controls */

byId("search").addEventListener("input", arrange);
byId("sort").addEventListener("change", arrange);
byId("clear").addEventListener("click", () => {
  byId("search").value = "";
  stateFilter = new Set();
  for (const { button } of stateButtons.values()) button.setAttribute("aria-pressed", "false");
  arrange();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && !event.ctrlKey && !event.metaKey && !/^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName) && !byId("details").open) {
    event.preventDefault();
    byId("search").focus();
  }
});

const THEMES = { "": ["Auto", "same as the system"], light: ["Light", "light"], dark: ["Dark", "dark"] };
function setTheme(name) {
  if (name) document.documentElement.dataset.theme = name;
  else delete document.documentElement.dataset.theme;
  setText(byId("theme"), THEMES[name][0]);
  byId("theme").setAttribute("aria-label", `Theme: ${THEMES[name][1]}`);
}
byId("theme").addEventListener("click", () => {
  const names = Object.keys(THEMES);
  const next = names[(names.indexOf(document.documentElement.dataset.theme ?? "") + 1) % names.length];
  localStorage.setItem("steadfast-theme", next);
  setTheme(next);
});
const storedTheme = localStorage.getItem("steadfast-theme") ?? "";
setTheme(storedTheme in THEMES ? storedTheme : "");

setText(byId("host"), location.host);
const STATUS_TEXTS = { connecting: "Connecting", live: "Live", lost: "Connection lost, reconnecting" };
connect(new URL("api/live", base), {
  onAll,
  onChanges,
  onStatus: (status) => {
    byId("live").dataset.state = status;
    setText(byId("live-text"), STATUS_TEXTS[status]);
  },
});
