// The list of breakers, as cards or as a table: which rows it shows, in which order, and when the order may change.

import { BreakerCard, GroupCard } from "./card.js";
import { groupCounts } from "./figures.js";
import { setText } from "./format.js";
import { Order, moves } from "./order.js";
import { Histories } from "./strip.js";
import { TableHeader, TableRow } from "./table.js";
import { VirtualList } from "./virtual.js";

/** The time, in milliseconds, after which a pointer or a focus that rests in the list does not keep the order any more. */
const RESTING = 60_000;
/** The least width of a card, and the distance of cards, in pixels. */
const CARD_WIDTH = 320;
const GAP = 12;
const NO_KEYS = [];
/** The pause after a change of the order, as a multiple of the time that it took. Many changes of a long list are gathered. */
const PAUSE_FACTOR = 30;

export class BreakerList {
  #parts;
  #store;
  #view;
  #now;
  #order = new Order();
  #lists;
  #header;
  #keys = new Map();
  /** The number of rows when they were taken; 0 if they have to be taken again. */
  #taken = 0;
  #takenTable = false;
  #width = 0;
  /** True once all rows have been shown: from then on, the order may stand still. */
  #complete = false;
  #orderChanged = false;
  #pointerAt = -Infinity;
  /** The element that had the focus, and when it was first seen to have it, or a key was pressed in the list. */
  #focused = null;
  #focusAt = -Infinity;
  #arrangeAt = -Infinity;
  #dirty = new Set();
  #frame = 0;
  /** Matching keys that the server has found. */
  #found = new Map();

  /**
   * @param {{cards, table, header, body, again}} parts elements of the page
   * @param {object} view the filters and the order: see `View`
   * @param {{base: URL, store, now(), headers(), open(id), detailsOpen(): boolean, onSort(by, reversed), onArranged(counts)}} ctx
   */
  constructor(parts, view, ctx) {
    this.#parts = parts;
    this.#store = ctx.store;
    this.#view = view;
    this.#now = ctx.now;
    this.onArranged = ctx.onArranged;
    this.detailsOpen = ctx.detailsOpen;
    this.histories = new Histories(new URL("api/history", ctx.base), ctx.headers, (id, history) => this.#current.view(id)?.history(history));
    const cardContext = { open: ctx.open, histories: this.histories, keysOf: (name) => this.keysOf(name), foundKeys: (name) => this.#found.get(name) };
    this.#lists = {
      cards: new VirtualList(parts.cards, (row) => (row.kind === "group" ? new GroupCard(row, cardContext) : new BreakerCard(row, cardContext)), () => this.#cardLayout(), ctx.now),
      table: new VirtualList(parts.body, (row) => new TableRow(row, cardContext), () => ({ columns: 1, gap: 0, height: this.#tableLayout() }), ctx.now),
    };
    this.#header = new TableHeader(parts.header, ctx.onSort);
    for (const list of [parts.cards, parts.body]) {
      list.addEventListener("pointermove", ({ pointerType }) => (this.#pointerAt = pointerType === "mouse" ? performance.now() : -Infinity), { passive: true });
      list.addEventListener("keydown", () => (this.#focusAt = performance.now()));
      list.addEventListener("pointerleave", () => (this.#pointerAt = -Infinity), { passive: true });
    }
    parts.again.addEventListener("click", () => {
      this.arrange(true);
      // The button disappears, and the focus would be lost.
      parts[this.#view.table ? "body" : "cards"].focus({ preventScroll: true });
    });
    window.addEventListener("scroll", () => this.#render(), { passive: true });
    new ResizeObserver(([{ contentRect }]) => this.#resized(contentRect.width)).observe(parts.cards.parentElement);
  }

  get #current() {
    return this.#view.table ? this.#lists.table : this.#lists.cards;
  }

  /** Shows matching keys that the server has found, by the name of the group. @param {Map<string, {matches: number, keys: object[]}>} found */
  show(found) {
    if (!found.size && !this.#found.size) return;
    this.#found = found;
    this.#taken = 0;
    this.refresh();
    this.arrange();
  }

  /** The listed keys of a group. */
  keysOf(name) {
    return this.#keys.get(name) ?? NO_KEYS;
  }

  /** Takes the result of a message. */
  changed({ changed, removed, conditions }, loaded) {
    if (removed.size) this.#taken = 0;
    if (changed.size || removed.size) this.#orderChanged = true;
    for (const id of [...changed, ...removed]) {
      const row = this.#store.rows.get(id);
      if (row?.kind === "key") this.#mark(`group ${row.name}`);
      this.#mark(id);
    }
    // The first rows, and a change of condition, are shown at once; within a second if the list is long and changes often.
    if (loaded || (conditions.length && performance.now() >= this.#arrangeAt)) this.arrange(loaded && !this.#complete);
    if (loaded && this.#store.complete) this.#complete = true;
  }

  /** The server was restarted: its rows are shown as they come. */
  restart() {
    this.#complete = false;
    this.#focusAt = this.#pointerAt = -Infinity;
  }

  /** Shows the rows in their present order, unless the order stands still: then only the button counts what would move. */
  arrange(force = false) {
    if (document.hidden && !force) return;
    const begun = performance.now();
    this.#takeRows();
    const { by, reversed } = this.#view;
    const rows = this.#order.sorted(by, reversed, (name) => this.keysOf(name)).filter((row) => this.#shows(row));
    this.onArranged(rows);
    const list = this.#current;
    const held = !force && this.#held && list.rows.length > 0;
    const moved = held ? moves(list.rows, rows) : 0;
    // An order that is held back is tried again until nothing holds it.
    this.#orderChanged = moved > 0;
    this.#parts.again.hidden = !moved;
    if (moved) setText(this.#parts.again, `Sort again (${moved} moved)`);
    if (!held) this.#show(rows);
    const ended = performance.now();
    this.#arrangeAt = ended + PAUSE_FACTOR * (ended - begun);
  }

  #show(rows) {
    const { table, by, reversed } = this.#view;
    this.#parts.cards.hidden = table;
    this.#parts.table.hidden = !table;
    this.#header.show(by, reversed);
    this.#parts.table.setAttribute("aria-rowcount", String(rows.length + 1));
    this.#current.show(rows);
    this.#wantHistories();
  }

  /** Once a second: texts that depend on the time, the order, and every 10 seconds the histories. */
  tick(now, seconds) {
    if (this.#orderChanged) this.arrange();
    for (const view of this.#current.views) view.tick(now);
    if (seconds % 10 === 0 && !this.#view.table) this.histories.refresh(this.#current.visible);
  }

  /** Updates every item, after the page was hidden or what depends on other rows has changed. */
  refresh() {
    for (const id of this.#current.visible) this.#mark(id);
  }

  get #held() {
    const { activeElement } = document;
    const { cards, body } = this.#parts;
    const focused = [cards, body].some((list) => list !== activeElement && list.contains(activeElement));
    if (activeElement !== this.#focused) {
      this.#focused = activeElement;
      this.#focusAt = performance.now();
    }
    const isResting = (at) => performance.now() - at >= RESTING;
    return (focused && !isResting(this.#focusAt)) || this.detailsOpen() || !isResting(this.#pointerAt);
  }

  /** Takes the rows of the store if some were added or removed. A table lists keys as well. */
  #takeRows() {
    const { rows } = this.#store;
    const { table } = this.#view;
    if (this.#taken === rows.size && this.#takenTable === table) return;
    this.#taken = rows.size;
    this.#takenTable = table;
    this.#keys.clear();
    const listed = [];
    for (const row of rows.values()) {
      if (row.kind === "key") {
        if (!this.#keys.has(row.name)) this.#keys.set(row.name, []);
        this.#keys.get(row.name).push(row);
      }
      if (row.kind === "breaker" || row.kind === "group" || (table && row.kind === "key")) listed.push(row);
    }
    if (table) for (const { keys } of this.#found.values()) listed.push(...keys.filter(({ id }) => !rows.has(id)));
    this.#order.take(listed);
  }

  #shows(row) {
    const { states, search } = this.#view;
    if (states.size) {
      const counts = row.kind === "group" ? groupCounts(row, this.keysOf(row.name)) : { [row.condition]: 1 };
      if (![...states].some((state) => counts[state] > 0)) return false;
    }
    if (!search) return true;
    const matches = ({ text }) => text.toLowerCase().includes(search);
    return matches(row) || (row.kind === "group" && (this.#found.get(row.name)?.matches > 0 || this.keysOf(row.name).some(matches)));
  }

  #mark(id) {
    if (!this.#current.view(id)) return;
    this.#dirty.add(id);
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      const now = this.#now();
      for (const dirty of this.#dirty) {
        const view = this.#current.view(dirty);
        view?.update(this.#store.rows.get(dirty) ?? view.row, now);
      }
      this.#dirty.clear();
    });
  }

  #render() {
    this.#current.render();
    this.#wantHistories();
  }

  #resized(width) {
    if (width === this.#width) return;
    this.#width = width;
    this.#current.measure();
    this.#wantHistories();
  }

  #wantHistories() {
    if (this.#view.table) return;
    this.histories.want([...this.#current.visible].filter((id) => id.startsWith("breaker ") && !this.histories.get(id)));
  }

  /** Quiet breakers have a low card. The heights are set in the style sheet, in a unit that follows the size of the text. */
  #cardLayout() {
    const style = getComputedStyle(this.#parts.cards);
    const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
    const [tall, low] = ["--tall", "--low"].map((name) => parseFloat(style.getPropertyValue(name)) * rem);
    const columns = Math.max(1, Math.floor((this.#parts.cards.clientWidth + GAP) / ((CARD_WIDTH / 16) * rem + GAP)));
    const quiet = (row) => (row.kind === "group" ? (row.keys ?? 0) === (row.closed ?? 0) : row.condition === "closed");
    return { columns, gap: GAP, height: (row) => (quiet(row) ? low : tall) };
  }

  #tableLayout() {
    const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
    return () => 2.5 * rem;
  }
}
