// A retry: what became of its calls, as shares of all.

import { count, element, percent, setText } from "./format.js";

const SHARES = [
  ["first", "at once", ({ first_try_successes: n }) => n],
  ["retried", "retried", ({ retried_successes: n }) => n],
  ["gave-up", "failed", ({ not_transient, rejected, exhausted, denied, stopped, panicked }) => not_transient + rejected + exhausted + denied + stopped + panicked],
  ["cancelled", "cancelled", ({ cancelled: n }) => n],
];

export class RetryRow {
  #calls = element("small");
  #bar = element("div", { class: "shares", "aria-hidden": "true" }, ...SHARES.map(([style]) => element("i", { class: style })));
  #shares = element("p");
  #rest = element("p");

  constructor(entry) {
    this.node = element("li", {}, element("div", { class: "head" }, element("b", {}, entry.name), this.#calls), this.#bar, this.#shares, this.#rest);
  }

  update(entry) {
    const { calls, attempts, retries, exhausted, denied, not_transient, rejected, stopped, cancelled, panicked } = entry;
    setText(this.#calls, calls === 1 ? "1 call" : `${count(calls)} calls`);
    SHARES.forEach(([, , of], index) => (this.#bar.children[index].style.flex = `${of(entry)} 0 0px`));
    const shares = SHARES.filter(([style, , of]) => style !== "cancelled" || of(entry));
    const none = attempts ? "No call has ended yet" : "Not called yet";
    setText(this.#shares, calls ? shares.map(([, word, of]) => `${percent(of(entry) / calls)} ${word}`).join(" · ") : none);
    const ways = [
      [exhausted, "gave up"],
      [rejected, "rejected by a breaker or a limit"],
      [not_transient, "not worth a retry"],
      [denied, "denied by the budget"],
      [stopped, "stopped"],
      [panicked, "panicked"],
      [cancelled, "cancelled"],
    ];
    const told = ways.filter(([number]) => number).map(([number, word]) => `${count(number)} ${word}`);
    if (calls && retries) told.push(`${(attempts / calls).toFixed(2)} attempts a call`);
    setText(this.#rest, told.join(" · "));
    this.#rest.hidden = !told.length;
  }
}
