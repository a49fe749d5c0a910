// The details of one entry. They are read once a second while they are shown.

import { Actions, readOnly } from "./actions.js";
import { BREAKERS } from "./breakers.js";
import { Chart } from "./chart.js";
import { EventList } from "./events.js";
import { FigureTable, durationTable } from "./totals.js";
import { clock, duration, element, setText, title } from "./format.js";
import { isOverride, overridesOf } from "./override.js";
import { FUNCTIONS } from "./functions.js";
import { KeySearch } from "./keys.js";
import { LIMITS } from "./limits.js";
import { RelatedLinks } from "./related.js";
import { RETRIES } from "./retry.js";
import { rowIcon } from "./section.js";
import { settingsTable } from "./settings.js";

const KINDS = { ...BREAKERS, ...LIMITS, ...RETRIES, ...FUNCTIONS };
const NOT_KNOWN = "Not known without a connection";
const PERIOD = 1_000;
const TIME_LIMIT = 5_000;
/** The keys of a group are searched again after this number of readings. */
const KEY_READINGS = 5;

export class Details {
  #dialog;
  #ctx;
  #id = null;
  #entry = null;
  #view = null;
  /** `loading`, `ok`, `gone`, `denied`, or `lost`. */
  #status = "loading";
  /** The server's time of the values that are shown; 0 for those of the list, which may be older. */
  #asOf = 0;
  /** The latest request; the answers of earlier ones are ignored. */
  #request = null;
  #readings = 0;
  #timer = 0;
  /** The overrides of the entry in the log, and the values for which they were read. */
  #overrides = [];
  #overridesFor = "";

  constructor(dialog, ctx) {
    this.#dialog = dialog;
    this.#ctx = ctx;
    let pressed = null;
    dialog.addEventListener("pointerdown", (event) => (pressed = event.target));
    dialog.addEventListener("click", (event) => {
      // A click beside the dialog closes it; the end of a drag that began inside does not.
      if (event.target === dialog && pressed === dialog) this.close();
    });
    dialog.addEventListener("close", (event) => {
      // The event arrives later than the closing: the dialog may be open again, for another entry.
      if (event.target === dialog && !dialog.open) this.#end();
    });
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden && this.#id != null) this.#beat();
    });
  }

  /** The id of the shown entry; undefined while the dialog is closed. */
  get shown() {
    return this.#id ?? undefined;
  }

  open(id) {
    if (this.#id === id && this.#dialog.open) return;
    this.#view?.actions?.close();
    this.#id = id;
    this.#entry = this.#view = this.#request = null;
    this.#asOf = this.#readings = 0;
    [this.#overrides, this.#overridesFor] = [[], ""];
    this.#show(this.#ctx.store.rows.get(id) ?? null, "loading");
    if (!this.#dialog.open) this.#dialog.showModal();
    this.#dialog.scrollTop = 0;
    this.#dialog.querySelector("#details-name")?.focus();
    clearInterval(this.#timer);
    this.#timer = setInterval(() => this.#beat(), PERIOD);
    this.#beat();
    this.#ctx.onOpen?.(id);
  }

  close() {
    if (this.#dialog.open) this.#dialog.close();
    this.#end();
  }

  /** Reads the shown entry at once if its condition has changed. */
  onRows(store, changedIds) {
    if (this.#id == null || !changedIds.has(this.#id)) return;
    const row = store.rows.get(this.#id);
    if (row?.condition !== this.#entry?.condition) this.#read();
  }

  #end() {
    if (this.#id == null) return;
    clearInterval(this.#timer);
    this.#view?.actions?.close();
    this.#id = this.#entry = this.#view = this.#request = null;
    this.#ctx.onClose?.();
  }

  #beat() {
    if (document.hidden) return;
    this.#render();
    if (!this.#request) this.#read();
  }

  async #read() {
    if (this.#id == null) return;
    const url = new URL("api/item", this.#ctx.base);
    url.search = new URLSearchParams({ id: this.#id });
    const request = this.#request = {};
    let status = "lost";
    let entry = null;
    try {
      const response = await fetch(url, { headers: this.#ctx.headers(), signal: AbortSignal.timeout(TIME_LIMIT) });
      if (response.ok) [status, entry] = ["ok", await response.json()];
      else status = { 401: "denied", 403: "denied", 404: "gone" }[response.status] ?? "lost";
    } catch {
      // Neither an answer nor its body arrived: the status stays "lost".
    }
    if (request !== this.#request) return;
    this.#request = null;
    this.#show(entry, status);
    if (status === "ok") this.#readOverrides();
    if (status === "ok" && this.#readings++ % KEY_READINGS === 0) this.#view.keys?.refresh();
  }

  /** Reads the overrides of the entry again if it has been overridden since. */
  async #readOverrides() {
    const [id, entry] = [this.#id, this.#entry];
    const changed = overrideMark(entry);
    if (changed === this.#overridesFor) return;
    this.#overridesFor = changed;
    const overrides = changed ? await overridesOf(this.#ctx, entry) : [];
    if (id !== this.#id || changed !== this.#overridesFor) return;
    this.#overrides = overrides;
    this.#render();
  }

  #show(entry, status) {
    this.#status = status;
    if (entry) {
      const isOther = this.#entry?.kind !== entry.kind || !this.#view;
      this.#entry = entry;
      if (status === "ok") this.#asOf = this.#ctx.time();
      if (isOther) this.#build();
    } else if (!this.#view) {
      this.#build();
    }
    this.#render();
  }

  /** Builds the parts of the shown entry once, so that the focus, a selection and what is typed survive each reading. */
  #build() {
    const entry = this.#entry;
    const kind = KINDS[entry?.kind];
    const close = element("button", { type: "button", class: "secondary" }, "Close");
    close.addEventListener("click", () => this.close());
    const view = this.#view = {
      kind: element("p", { class: "kind" }), name: element("h2", { id: "details-name", tabindex: "-1" }), pill: element("span", { class: "pill" }),
      notice: element("span", { role: "status" }), age: element("span"), headline: element("p", { class: "headline" }), facts: element("dl", { class: "facts" }),
      chart: null, figures: new FigureTable(), durations: element("section", {}), settings: element("section", {}), events: null, keys: null, actions: null,
      times: element("p", { class: "note" }), lead: null, related: new RelatedLinks(this.#ctx.store, (id) => this.open(id)), announcement: element("p", { class: "hidden", role: "status" }), condition: "",
    };
    view.content = element("div", { class: "content" },
      element("header", {}, element("div", {}, view.kind, view.name), view.pill, close), view.announcement,
      element("p", { class: "notice" }, view.notice, view.age),
      view.lead = element("div", { class: "lead" }, view.headline, view.facts));
    const hadFocus = this.#dialog.contains(document.activeElement);
    this.#dialog.replaceChildren(view.content);
    if (hadFocus) view.name.focus();
    if (!kind) return;
    view.chart = kind.samples && new Chart(kind.samples, Boolean(entry.state), kind.sampleOf);
    view.events = entry.state ? new EventList() : null;
    view.keys = kind.keys ? new KeySearch(this.#ctx, kind.keys, entry.name, (id) => this.open(id)) : null;
    view.actions = kind.acts && this.#ctx.canOverride() ? new Actions(this.#ctx, entry, () => this.#read()) : null;
    const control = view.actions?.node ?? (kind.acts ? readOnly() : null);
    const beside = element("div", { class: "columns" }, element("section", {}, element("h3", {}, "Figures"), view.figures.node), ...(control ? [control] : []));
    view.content.append(...[view.related.node, view.chart?.node, beside, view.durations, view.keys?.node, view.settings,
      view.events && element("section", {}, element("h3", {}, "Recent events"), view.events.node), view.times].filter(Boolean));
  }

  #render() {
    const [entry, view] = [this.#entry, this.#view];
    // Values that are not current are described as of their own time.
    const isOld = entry && this.#status !== "ok" && this.#status !== "loading";
    const now = this.#status === "ok" ? this.#ctx.time() : this.#time;
    this.#renderNotice(isOld);
    view.lead.hidden = !entry;
    if (!entry) return setText(view.name, nameOf(this.#id));
    const kind = KINDS[entry.kind];
    setText(view.name, title(entry));
    setText(view.kind, kind.label);
    this.#renderPill(kind.condition(entry));
    const { headline, facts } = kind.summary(entry, now, this.#overrides);
    setText(view.headline, isOld ? `At ${clock(now)}: ${headline}` : headline);
    showFacts(view.facts, isOld ? facts.map(([label, text]) => [label, label === "Next" || (label === "Callers get" && !entry.last_minute) ? NOT_KNOWN : text]) : facts);
    view.figures.update(kind.figures(entry), entry.last_minute);
    view.actions?.update(entry);
    if (view.chart) {
      view.chart.node.hidden = !entry.history;
      if (entry.history) view.chart.update(entry, now);
    }
    this.#replace("durations", entry.durations ?? entry.attempt_durations, durationTable, kind.durations ?? "Durations since the start");
    this.#replace("settings", [entry.settings, entry.state, entry.until, entry.operator_reason], () => settingsTable(entry), "Settings in force");
    view.events?.update(entry.recent, this.#overrides, entry.recent ? undefined : isOld ? NOT_KNOWN : "Loading…");
    setText(view.times, timesText(this.#ctx, now));
    view.related.update(entry);
  }

  #renderPill({ state, label }) {
    const view = this.#view;
    if (view.condition === state + label) return;
    if (view.condition) setText(view.announcement, `${title(this.#entry)} is now ${label.toLowerCase()}`);
    view.condition = state + label;
    view.content.dataset.state = state;
    view.pill.replaceChildren(rowIcon(state), label);
  }

  /** The time of the shown values, if they were not read just now. */
  get #time() {
    return this.#asOf || this.#ctx.asOf();
  }

  /** The age is not announced, because it changes every second. */
  #renderNotice(isOld) {
    const { content, notice, age } = this.#view;
    const texts = {
      ok: "",
      loading: this.#entry ? "" : "Loading…",
      gone: this.#entry ? "No longer there: it was evicted, or the program was restarted." : "Not found: there is no such name or key at present. It may be misspelt, may have been evicted, or was not called since the program's start.",
      denied: "The server requires a token for viewing: close the details and enter it.",
      lost: "Connection lost, trying again.",
    };
    setText(notice, texts[this.#status]);
    setText(age, isOld ? ` These are the values of ${clock(this.#time)}, ${duration(Math.max(0, this.#ctx.time() - this.#time))} ago.` : "");
    notice.parentElement.hidden = !texts[this.#status];
    content.classList.toggle("aged", Boolean(isOld));
  }

  /** Replaces a section if what it shows has changed. */
  #replace(name, value, build, heading) {
    const view = this.#view;
    const shown = JSON.stringify(value ?? null);
    if (view[`${name}Shown`] === shown) return;
    view[`${name}Shown`] = shown;
    const content = build(value);
    view[name].hidden = !content;
    view[name].replaceChildren(...(content ? [element("h3", {}, heading), content] : []));
  }
}

/** Returns a text that changes with each override of an entry; empty if there is none. */
function overrideMark({ kind, recent = [], state, until, operator_reason: reason, forced_open: forced, disabled }) {
  if (kind === "group") return forced || disabled ? JSON.stringify([forced, disabled]) : "";
  const change = recent.findLast(({ from, to }) => isOverride(from) || isOverride(to) || (from === "open" && to === "closed"));
  return change || isOverride(state) ? JSON.stringify([change?.at, change?.to, reason, isOverride(state) && until]) : "";
}

/** Returns the name and key in an id: `key 9 suppliers example.org`. */
function nameOf(id) {
  const [, kind, rest] = /^(\S+) (.*)$/s.exec(id) ?? [null, "", id];
  const [, length, text] = (kind === "key" && /^(\d+) (.*)$/s.exec(rest)) || [];
  if (!text) return rest;
  const bytes = new TextEncoder().encode(text);
  const part = (from, to) => new TextDecoder().decode(bytes.slice(from, to));
  return `${part(0, Number(length))} · ${part(Number(length) + 1)}`;
}

/** Returns the meaning of the times and of "since start". */
function timesText({ store }, now) {
  const zone = new Intl.DateTimeFormat("en-GB", { timeZoneName: "short" }).formatToParts(now * 1000).find(({ type }) => type === "timeZoneName")?.value;
  const started = store.meta?.started;
  return `Times are in ${zone}. "Since start" is since the start of the program${started ? `; its dashboard runs since ${clock(started)}, for ${duration(Math.max(0, now - started))}` : ""}.`;
}

/** Shows labelled facts; unchanged texts are kept. */
function showFacts(list, facts) {
  while (list.children.length > facts.length) list.lastChild.remove();
  while (list.children.length < facts.length) list.append(element("div", {}, element("dt"), element("dd")));
  facts.forEach(([label, text], index) => {
    setText(list.children[index].firstChild, label);
    setText(list.children[index].lastChild, text);
  });
}
