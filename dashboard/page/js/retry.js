// The row of a retry: the outcomes of its calls, as shares of all calls.

import { count, counted, element, percent, quantiles, setText } from "./format.js";

/** The parts of the bar: CSS class, label, number of calls. */
const PARTS = [
  ["first-try", "first try", ({ first_try_successes: n }) => n],
  ["retried", "retried", ({ retried_successes: n }) => n],
  ["failed", "failed", ({ not_transient, rejected, exhausted, denied, stopped, panicked }) => not_transient + rejected + exhausted + denied + stopped + panicked],
  ["cancelled", "cancelled", ({ cancelled: n }) => n],
];

export class RetryRow {
  #calls = element("small");
  #bar = element("div", { class: "outcome-bar", "aria-hidden": "true" }, ...PARTS.map(([style]) => element("i", { class: style })));
  #shares = element("p");
  #outcomes = element("p");
  #durations = element("p");

  constructor(entry) {
    this.node = element("li", {}, element("div", { class: "head" }, element("b", {}, entry.name), this.#calls), this.#bar, this.#shares, this.#outcomes, this.#durations);
  }

  update(entry) {
    const { calls, attempts, rejections, retries, exhausted, denied, not_transient, rejected, stopped, cancelled, panicked } = entry;
    setText(this.#calls, counted(calls, "call"));
    PARTS.forEach(([, , of], index) => (this.#bar.children[index].style.flex = `${of(entry)} 0 0px`));
    const parts = PARTS.filter(([style, , of]) => style !== "cancelled" || of(entry));
    const withoutCalls = attempts ? "No call has ended yet" : "No calls yet";
    setText(this.#shares, calls ? parts.map(([, label, of]) => `${percent(of(entry) / calls)} ${label}`).join(" · ") : withoutCalls);
    const failures = [
      [exhausted, "exhausted all attempts"],
      [rejected, "rejected by a breaker or a limit"],
      [not_transient, "not transient"],
      [denied, "denied by the budget"],
      [stopped, "stopped"],
      [panicked, "panicked"],
      [cancelled, "cancelled"],
    ];
    const outcomes = failures.filter(([number]) => number).map(([number, label]) => `${count(number)} ${label}`);
    if (rejections) outcomes.push(`${counted(rejections, "attempt")} rejected`);
    if (calls && retries) outcomes.push(`${(attempts / calls).toFixed(2)} attempts per call`);
    setText(this.#outcomes, outcomes.join(" · "));
    this.#outcomes.hidden = !outcomes.length;
    const durations = quantiles(entry.attempt_durations).map((figure) => figure.join(" "));
    setText(this.#durations, `Attempts: ${durations.join(" · ")}`);
    this.#durations.hidden = !durations.length;
  }
}
