// The search for keys on the server: the stream has only the worst keys of each group.

import { title } from "./format.js";

const DELAY = 250;
/** The maximum number of keys of each group that are listed. */
const MAX_KEYS = 20;
/** The maximum number of groups of each kind that are searched. */
const MAX_GROUPS = 12;
/** The kinds of groups, with those of their keys in `/api/keys`. */
const KINDS = { group: "breaker", rate_limit_group: "rate_limit", bulkhead_group: "bulkhead" };

export class KeyFinder {
  #url;
  #headers;
  #onFound;
  #timer = 0;
  #searched = "";

  /** @param {URL} url @param {() => object} headers @param {(found: Map<string, {matches: number, keys: object[]}>) => void} onFound by the ids of groups */
  constructor(url, headers, onFound) {
    this.#url = url;
    this.#headers = headers;
    this.#onFound = onFound;
  }

  /** Returns the groups whose keys are searched. */
  static groups(rows) {
    const found = { group: [], rate_limit_group: [], bulkhead_group: [] };
    for (const row of rows) if (found[row.kind]?.length < MAX_GROUPS) found[row.kind].push(row);
    return Object.values(found).flat();
  }

  /** Searches the keys of groups, a moment after the last change of `text`. An empty text finds nothing. */
  search(text, groups) {
    if (text === this.#searched) return;
    this.#searched = text;
    clearTimeout(this.#timer);
    this.#onFound(new Map());
    if (text) this.#timer = setTimeout(() => this.#find(text, groups), DELAY);
  }

  /** Searches again, because conditions may have changed. */
  refresh(groups) {
    if (this.#searched) this.#find(this.#searched, groups);
  }

  async #find(text, groups) {
    const answers = await Promise.all(groups.map(async (group) => [group.id, await this.#keysOf(group, text)]));
    if (text !== this.#searched) return;
    // A group whose keys do not match may match by its name, and shows its worst keys.
    this.#onFound(new Map(answers.filter(([, answer]) => answer?.matches)));
  }

  async #keysOf({ kind, name }, text) {
    const url = new URL(this.#url);
    url.search = new URLSearchParams({ kind: KINDS[kind], name, search: text, limit: MAX_KEYS });
    try {
      const response = await fetch(url, { headers: this.#headers(), cache: "no-store" });
      if (!response.ok) return null;
      const { matches, keys } = await response.json();
      return { matches, keys: keys.map((row) => ({ ...row, text: title(row) })) };
    } catch {
      return null;
    }
  }
}
