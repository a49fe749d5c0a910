// What the page shows: filters, order, cards or table, and the open details. All of it is in the fragment of the address, so that a link
// shows the same.

import { STATES } from "./format.js";
import { SORTS } from "./order.js";

/** The names of the parameters of details, and the beginnings of the ids for which each may stand. */
const ITEMS = {
  breaker: ["breaker", "group"], retry: ["retry"], rate_limit: ["rate_limit", "rate_limits"], bulkhead: ["bulkhead", "bulkheads"],
  function: ["fallback", "timeout"], timeout: ["timeout"], budget: ["budget"],
};
const PARAMETERS = { breaker: "breaker", group: "breaker", retry: "retry", rate_limit: "rate_limit", rate_limits: "rate_limit", bulkhead: "bulkhead", bulkheads: "bulkhead", fallback: "function", timeout: "timeout", budget: "budget" };

const bytes = (text) => new TextEncoder().encode(text).length;

/** The storage of the browser, which may be blocked. */
export const storage = {
  get(key) {
    try {
      return localStorage.getItem(`steadfast-${key}`) ?? "";
    } catch {
      return "";
    }
  },
  set(key, value) {
    try {
      localStorage.setItem(`steadfast-${key}`, value);
    } catch {
      // The choice lasts until the page is closed.
    }
  },
};

export class View {
  table = storage.get("view") === "table";
  by = "severity";
  reversed = false;
  /** The conditions to show; all if empty. */
  states = new Set();
  /** The text that names and keys have to contain, in lower case. */
  search = "";
  /** The ids that the parameters of details may stand for, the likeliest first; empty if no details are open. */
  item = [];
  #parameters = [];
  /** True if the entry of the browser's history was made for details that have been closed. */
  #closed = false;
  #address = "";

  /** True if the browser has come back from closed details to the entry before them, which shows the same: back has had no effect. */
  get isRepeated() {
    return this.#closed && !history.state?.closed && address() === this.#address;
  }

  /** Reads the fragment of the address. */
  read() {
    const hash = new URLSearchParams(location.hash.slice(1));
    this.item = ids(hash);
    this.#closed = Boolean(history.state?.closed);
    this.#address = address();
    // A link with filters shows cards unless it says otherwise; without any, the last choice of this browser applies.
    if (hash.has("view") || (hash.size && !this.item.length)) this.table = hash.get("view") === "table";
    this.by = Object.hasOwn(SORTS, hash.get("sort")) ? hash.get("sort") : "severity";
    this.reversed = hash.has("reversed");
    // While details are open, the filters are part of the entry in the browser's history instead: who follows a link to details sees all rows.
    const filters = this.item.length && history.state ? history.state : { states: hash.get("state"), search: hash.get("search") };
    this.states = new Set((filters.states ?? "").split(",").filter((state) => Object.hasOwn(STATES, state)));
    this.search = (filters.search ?? "").toLowerCase();
    this.#parameters = [...hash].filter(([name]) => Object.hasOwn(ITEMS, name) || name === "key" || name === "overflow");
  }

  /** Writes the fragment of the address. Details get an entry in the browser's history, so that its back button closes them. */
  write({ open = false, isNew = open, closed = false } = {}) {
    const hash = new URLSearchParams();
    if (this.table) hash.set("view", "table");
    if (this.by !== "severity") hash.set("sort", this.by);
    if (this.reversed) hash.set("reversed", "1");
    const filters = { states: [...this.states].join(","), search: this.search };
    if (!this.item.length && filters.states) hash.set("state", filters.states);
    if (!this.item.length && filters.search) hash.set("search", filters.search);
    for (const [name, value] of this.#parameters) hash.set(name, value);
    const text = hash.toString();
    const isSame = text === address();
    if (isSame && !this.item.length) return;
    // An entry whose details were closed is used again.
    const pushes = isNew && !isSame && !this.#closed;
    const pushed = open && (pushes || this.#closed || Boolean(history.state?.pushed));
    history[pushes ? "pushState" : "replaceState"]({ ...filters, pushed, closed }, "", text ? `#${text}` : location.pathname + location.search);
    this.#closed = closed;
    this.#address = text;
  }

  /** Notes which details are open; `row` is known if the stream has sent it. */
  show(id, row) {
    const isLinked = this.item.includes(id);
    this.item = id ? [id] : [];
    this.#parameters = id ? parametersOf(id, row) : [];
    this.write({ open: Boolean(id), isNew: Boolean(id) && !isLinked, closed: !id && Boolean(history.state?.pushed) });
  }
}

/** Returns the fragment of the address as it is written here: a link may be encoded in another way. */
const address = () => new URLSearchParams(location.hash.slice(1)).toString();

/** Returns the ids that parameters may stand for. */
function ids(hash) {
  for (const [name, kinds] of Object.entries(ITEMS)) {
    const value = hash.get(name);
    if (value == null) continue;
    if (name === "breaker" && hash.has("overflow")) return [`overflow ${value}`];
    if (name === "breaker" && hash.has("key")) return [`key ${bytes(value)} ${value} ${hash.get("key")}`];
    return kinds.map((kind) => `${kind} ${value}`);
  }
  return [];
}

function parametersOf(id, row) {
  const space = id.indexOf(" ");
  const [kind, rest] = [id.slice(0, space), id.slice(space + 1)];
  if (kind === "overflow") return [["breaker", rest], ["overflow", "1"]];
  if (kind !== "key") return Object.hasOwn(PARAMETERS, kind) ? [[PARAMETERS[kind], rest]] : [];
  if (row) return [["breaker", row.name], ["key", row.key]];
  // `key LENGTH NAME KEY`, where the length is that of the name in bytes.
  const [length] = rest.split(" ", 1);
  const text = new TextEncoder().encode(rest.slice(length.length + 1));
  const decoder = new TextDecoder();
  return [["breaker", decoder.decode(text.slice(0, Number(length)))], ["key", decoder.decode(text.slice(Number(length) + 1))]];
}
