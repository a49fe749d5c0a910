// The page: passes the messages of the stream to the store, and what has changed to the parts of the page.

import { connect } from "./feed.js";
import { clock as at, escaped, roughly, setText, zone } from "./format.js";
import { KeyFinder } from "./keysearch.js";
import { circuits } from "./figures.js";
import { BreakerList } from "./list.js";
import { Announcer, Log } from "./log.js";
import { Overview } from "./overview.js";
import { ServerClock, Status } from "./status.js";
import { Store } from "./store.js";
import { chooseTheme } from "./theme.js";
import { HEADER, sendToken } from "./token.js";
import { Toolbar } from "./toolbar.js";
import { View } from "./view.js";

const byId = (id) => document.getElementById(id);
const base = new URL(document.documentElement.dataset.base, location.href);
/** The time after a start of the program, in seconds, for which the start is marked: earlier outages are not known. */
const YOUNG = 600;

const store = new Store();
const clock = new ServerClock();
const view = new View();
view.read();

const ctx = {
  base,
  store,
  now: () => status.known(clock.now()),
  headers: () => (status.token ? { [HEADER]: status.token } : {}),
  canOverride: () => Boolean(store.meta?.can_override),
  open: (id) => (details ? details.open(id) : withRest(() => details.open(id))),
  detailsOpen: () => details?.shown != null,
  /** The server's time, also while nothing arrives; `asOf` is that of the last message. */
  time: () => clock.now(),
  asOf: () => clock.now() - (status.age ?? 0),
  search: () => view.search,
  onOpen: (id) => view.show(id, store.rows.get(id)),
  onClose: () => view.show(null),
  onSort: (by, reversed) => {
    Object.assign(view, { by, reversed });
    viewChanged();
  },
  onArranged: showMatches,
};

const status = new Status(
  { live: byId("live"), text: byId("live-text"), age: byId("live-age"), form: byId("token-form"), input: byId("token"), error: byId("token-error"), main: document.body }, () => feed.retry());
const overview = new Overview(
  { node: byId("overview"), head: byId("overview-head"), text: byId("overview-text"), hint: byId("overview-hint"), badges: document.querySelectorAll(".badge"), bar: byId("overview-bar"), outcomes: byId("overview-outcomes"), label: byId("overview-label"), rate: byId("overview-rate") });
const log = new Log({ list: byId("log"), empty: byId("log-empty"), filter: byId("log-filter"), overrides: byId("log-overrides") }, ctx);
const announcer = new Announcer(byId("announcement"));
const list = new BreakerList({ cards: byId("cards"), table: byId("table"), header: byId("table-header"), body: byId("table-body"), again: byId("sort-again") }, view, ctx);
const toolbar = new Toolbar(
  { filters: byId("state-filters"), search: byId("search"), sort: byId("sort"), views: byId("view"), matches: byId("match-count"), empty: byId("no-match"), clear: byId("clear") },
  view, viewChanged);
const finder = new KeyFinder(new URL("api/keys", base), ctx.headers, onFound);

/* The parts that are loaded after the first rows, so that these are drawn sooner: details, and the lists beside the cards */

let details = null;
let sections = [];
let rest = null;

async function loadRest() {
  const modules = ["details", "limits", "retry", "functions"].map((name) => import(`./${name}.js`));
  const [{ Details }, { LimitSection }, { RetrySection }, { FunctionSection }] = await Promise.all(modules);
  details = new Details(byId("details"), ctx);
  sections = [new LimitSection(byId("limits"), ctx), new RetrySection(byId("retries"), ctx), new FunctionSection(byId("functions"), ctx)];
  for (const section of sections) section.search?.(view.search);
  changedIds = new Set(store.rows.keys());
  showSections();
}

/** Calls `action` once the parts are loaded. A failed attempt is repeated with the next call. */
function withRest(action) {
  rest ??= loadRest();
  rest.then(action, () => (rest = null));
}

/* Messages */

let changedIds = new Set();

function onMessage(name, data) {
  clock.take(data.now);
  status.received();
  if (name === "log") return log.add(data.events);
  const restarted = name === "start" && store.meta && store.meta.started !== data.started;
  if (restarted) {
    log.clear();
    list.restart();
  }
  const first = !store.rows.size;
  const result = store.apply(name, data);
  if (name === "start") onStart(data);
  if (name === "ping") return;
  if (data.counts || name === "start") toolbar.counts(store.complete || store.rows.size ? store.meta.counts : null);
  // The title of a hidden tab is seen as well.
  if (document.hidden && data.counts) showOverview();
  announcer.add(result.conditions.map(({ id }) => store.rows.get(id)).filter(Boolean));
  details?.onRows(store, result.changed);
  for (const id of [...result.changed, ...result.removed]) changedIds.add(id);
  if (!document.hidden) showSections();
  // The first rows are drawn at once, the others when all have arrived.
  const loaded = name === "rows" && (first || store.complete);
  if (loaded) {
    toolbar.counts(store.meta.counts);
    byId("no-breakers").hidden = !store.complete || hasBreakers();
    byId("toolbar").hidden = !byId("no-breakers").hidden;
    withRest(openLinked);
    showOverview();
    if (store.complete) finder.search(view.search, groups());
  }
  list.changed(result, loaded);
}

function onStart({ title, instance, started, can_override: canOverride }) {
  setText(byId("title"), title || "Circuit breakers");
  setText(byId("host"), instance || location.host);
  setText(byId("access"), canOverride ? "Manual control with token" : "Read-only");
  byId("host").title = instance || location.host;
  log.started(started);
  status.show(clock.now());
}

function hasBreakers() {
  for (const { kind } of store.rows.values()) if (kind === "breaker" || kind === "group") return true;
  return false;
}

function showSections() {
  if (!sections.length || !changedIds.size && store.rows.size) return;
  for (const section of sections) section.update(store, changedIds);
  changedIds = new Set();
  byId("no-limits").hidden = !store.complete || ["limits", "retries", "functions"].some((id) => !byId(id).hidden);
}

function showOverview() {
  const now = ctx.now();
  const old = document.body.classList.contains("aged");
  const down = overview.update(store, now, old ? now : null);
  const name = store.meta?.title || "Circuit breakers";
  const state = old ? "? " : down ? `${down} · ` : "";
  if (store.meta) showUptime(now - store.meta.started);
  document.title = escaped(`${state}${name}`);
}

function showUptime(seconds) {
  setText(byId("uptime"), `up ${roughly(seconds)}`);
  byId("uptime").classList.toggle("young", seconds < YOUNG);
  byId("uptime").title = `Started ${at(store.meta.started, 0)}`;
}

/* The view */

function viewChanged() {
  view.write();
  toolbar.show();
  toolbar.counts(store.rows.size ? store.meta.counts : null);
  finder.search(view.search, groups());
  for (const section of sections) section.search?.(view.search);
  showElsewhere();
  list.arrange(true);
}

const groups = () => KeyFinder.groups(store.rows.values());

/** Shows the matching keys that the server has found, by the ids of their groups. */
function onFound(found) {
  const ofBreakers = [...found].filter(([id]) => store.rows.get(id)?.kind === "group");
  list.show(new Map(ofBreakers.map(([id, answer]) => [store.rows.get(id).name, answer])));
  const groupIds = new Set([...found].filter(([, { matches }]) => matches).map(([id]) => id));
  for (const section of sections) section.found?.(groupIds);
  showElsewhere();
}

/** Says that the search has found something beside the breakers. */
function showElsewhere() {
  byId("match-elsewhere").hidden = !view.search || ["limits", "retries", "functions"].every((id) => byId(id).hidden);
}

function showMatches(rows) {
  const shown = { breakers: 0, groups: 0 };
  for (const { kind } of rows) if (kind === "breaker") shown.breakers += 1; else if (kind === "group") shown.groups += 1;
  const breakersIn = {};
  const all = { breakers: 0, groups: 0, keys: 0, known: store.complete, inState: breakersIn };
  for (const row of store.rows.values()) {
    const { kind, keys, condition } = row;
    if (kind === "breaker") {
      all.breakers += 1;
      breakersIn[condition] = (breakersIn[condition] ?? 0) + 1;
    } else if (kind === "group") {
      all.groups += 1;
      all.keys += Math.max(keys ?? 0, circuits(row));
    }
  }
  const keysIn = (state) => Math.max(0, (store.meta?.counts[state] ?? 0) - (breakersIn[state] ?? 0));
  const keys = view.search || !view.states.size ? null : [...view.states].reduce((sum, state) => sum + keysIn(state), 0);
  toolbar.matches(shown, all, keys);
}

/** Opens the details that the address names, once it is known what the name stands for. */
function openLinked() {
  const [id] = view.item.filter((item) => store.rows.has(item));
  const likeliest = id ?? (store.complete ? view.item[0] : undefined);
  if (likeliest && details && details.shown !== likeliest) details.open(likeliest);
}

window.addEventListener("popstate", () => {
  const { isRepeated } = view;
  view.read();
  if (isRepeated) return history.back();
  toolbar.show();
  if (!view.item.length && details?.shown != null) details.close();
  openLinked();
  finder.search(view.search, groups());
  list.arrange(true);
});

/* Once a second, while the page is seen */

let seconds = 0;

function tick() {
  if (document.hidden) return;
  seconds += 1;
  status.show(clock.now());
  showOverview();
  const now = ctx.now();
  list.tick(now, seconds);
  if (seconds % 5 === 0) finder.refresh(groups());
  for (const section of sections) section.tick(now);
}
setInterval(tick, 1000);

document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  showSections();
  list.refresh();
  list.arrange();
  tick();
});

/* Tabs, which small screens have instead of columns */

for (const tab of document.querySelectorAll(".tabs button")) {
  tab.addEventListener("click", () => {
    document.body.dataset.tab = tab.dataset.tab;
    for (const other of document.querySelectorAll(".tabs button")) other.setAttribute("aria-pressed", String(other === tab));
    window.scrollTo(0, 0);
    list.arrange();
  });
}

setText(byId("zone"), `Times are in this browser's zone, ${zone()}.`);
chooseTheme(byId("theme"));
for (const link of document.querySelectorAll("footer a")) sendToken(link, ctx.headers);
new ResizeObserver(([{ target }]) => document.documentElement.style.setProperty("--header", `${target.offsetHeight}px`)).observe(byId("header"));
new ResizeObserver(([{ target }]) => document.documentElement.style.setProperty("--toolbar", `${target.offsetHeight}px`)).observe(byId("toolbar"));

/** Returns the messages that bring another tab to the state of this one; none before the first message. */
function snapshot() {
  const messages = store.snapshot().map(([name, data]) => [name, name === "start" ? { ...data, now: clock.now() } : data]);
  return messages.length ? [...messages, ["log", { events: log.events }]] : [];
}

const feed = connect(new URL("api/live", base), {
  onMessage,
  onStatus: (...parts) => {
    status.set(...parts);
    status.show(clock.now());
  },
  headers: ctx.headers,
  onHeaders: (headers) => (status.token = headers[HEADER] ?? status.token),
  snapshot,
});
