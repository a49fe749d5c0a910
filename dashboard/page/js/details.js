// The details of one breaker, and manual control.

import { stateSummary } from "./card.js";
import { clock, element, exact, icon, measured, quantiles, setText, stateLabel, title } from "./format.js";
import { Timeline } from "./timeline.js";

/** The expiries that can be selected: seconds and label. */
const EXPIRIES = [["", "no expiry"], ["60", "1 minute"], ["300", "5 minutes"], ["900", "15 minutes"], ["3600", "1 hour"], ["28800", "8 hours"]];

/** The operator's token. It is kept in memory only, until the page is closed. */
let token = "";

export class Details {
  #dialog;
  #overridesUrl;
  #entry = null;
  #parts = null;

  constructor(dialog, overridesUrl) {
    this.#dialog = dialog;
    this.#overridesUrl = overridesUrl;
    dialog.addEventListener("close", () => (this.#entry = null));
    dialog.addEventListener("click", (event) => {
      if (event.target === dialog) dialog.close();
    });
  }

  /** The id of the shown breaker; undefined while the dialog is closed. */
  get shown() {
    return this.#entry?.id;
  }

  open(entry, now, { canOverride, started }) {
    this.#build(canOverride, started);
    this.#dialog.showModal();
    this.update(entry, now);
  }

  update(entry, now) {
    this.#entry = entry;
    const { name, pill, summary, totals, inFlight, durations, settings, events, timeline, content } = this.#parts;
    setText(name, title(entry));
    content.dataset.state = entry.state;
    pill.replaceChildren(icon(entry.state), stateLabel(entry.state));
    setText(summary, stateSummary(entry, now));
    setText(settings, entry.settings);
    timeline.draw(entry, now);
    timeline.move(now);
    const counts = [
      ["Succeeded", entry.successes],
      ["Failed", entry.failures],
      ["Rejected", entry.rejections],
      ["Ignored", entry.ignored],
      ["Cancelled", entry.cancelled],
      ["Hung", entry.hung],
      ["State changes", entry.transitions],
      ["Failed recoveries", entry.failed_recoveries],
    ];
    showFigures(totals, counts.filter(([, number]) => number != null).map(([label, number]) => [label, exact(number)]));
    const { in_flight, oldest_in_flight } = entry;
    const oldest = oldest_in_flight == null ? [] : [["The oldest", `for ${measured(oldest_in_flight)}`]];
    showFigures(inFlight, in_flight == null ? [] : [["Calls", exact(in_flight)], ...oldest]);
    const ofCalls = quantiles(entry.durations);
    showFigures(durations, ofCalls.length ? [...ofCalls, ["Calls", exact(entry.durations.count)]] : []);
    const rows = mergeRejections(entry.recent).toReversed().map((event) =>
      element("li", {}, element("time", {}, clock(event.at)), element("span", {}, description(event))));
    events.replaceChildren(...(rows.length ? rows : [element("li", {}, "None yet.")]));
  }

  tick(now) {
    if (this.#entry) setText(this.#parts.summary, stateSummary(this.#entry, now));
  }

  #build(canOverride, started) {
    const close = element("button", { type: "button", class: "secondary" }, "Close");
    close.addEventListener("click", () => this.#dialog.close());
    const parts = {
      name: element("h2", { id: "details-name" }),
      pill: element("span", { class: "pill" }),
      summary: element("p"),
      totals: element("dl", { class: "totals" }),
      inFlight: element("dl", { class: "totals" }),
      durations: element("dl", { class: "totals" }),
      settings: element("code"),
      events: element("ol", { class: "events" }),
      timeline: new Timeline(started),
    };
    parts.content = element("div", { class: "content" },
      element("header", {}, element("div", {}, parts.name, parts.pill), close),
      parts.summary,
      parts.timeline.node,
      element("section", {}, element("h3", {}, "Since the program started"), parts.totals),
      element("section", {}, element("h3", {}, "In flight"), parts.inFlight),
      element("section", {}, element("h3", {}, "Durations of calls"), parts.durations),
      element("section", {}, element("h3", {}, "Recent events"), parts.events),
      element("section", {}, element("h3", {}, "Settings"), parts.settings),
      canOverride ? this.#form() : element("p", { class: "note" }, "Read-only: manual control requires that a token is configured."),
    );
    this.#parts = parts;
    this.#dialog.replaceChildren(parts.content);
  }

  #form() {
    const reason = element("input", { name: "reason", maxlength: "200", autocomplete: "off", placeholder: "migration until 14:00" });
    const expiry = element("select", { name: "expires" }, ...EXPIRIES.map(([value, label]) => element("option", { value }, label)));
    const secret = element("input", { name: "token", type: "password", autocomplete: "off", placeholder: "the token configured for this dashboard" });
    secret.value = token;
    const result = element("p", { class: "result", role: "status" });
    const button = (action, label, style = "") => element("button", { type: "submit", value: action, class: style }, label);
    const form = element("form", { method: "dialog" },
      element("h3", {}, "Manual control"),
      element("div", { class: "fields" },
        element("label", {}, "Reason", reason),
        element("label", {}, "Expires after", expiry),
        element("label", { class: "wide" }, "Token (kept until this page is closed)", secret)),
      element("div", { class: "buttons" },
        button("force_open", "Force open", "force"), button("disable", "Disable"), button("reset", "Reset")),
      result);
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      token = secret.value;
      result.className = "result";
      setText(result, "…");
      const action = event.submitter?.value ?? "force_open";
      const { ok, text } = await this.#override(action, reason.value, expiry.value);
      result.classList.add(ok ? "good" : "bad");
      setText(result, text);
    });
    return form;
  }

  async #override(action, reason, expiry) {
    const { name, key, overflow } = this.#entry;
    const body = { breaker: name, action, reason: reason.trim() || null };
    if (key != null) body.key = key;
    if (overflow) body.overflow = true;
    if (expiry && action !== "reset") body.expires_in = Number(expiry);
    try {
      const response = await fetch(this.#overridesUrl, {
        method: "POST",
        headers: { "Content-Type": "application/json", "Authorization": `Bearer ${token}` },
        credentials: "omit",
        body: JSON.stringify(body),
      });
      const answer = await response.json();
      if (!response.ok) return { ok: false, text: `Not applied: ${answer.error}` };
      return { ok: true, text: `Applied: ${stateLabel(answer.state)}` };
    } catch {
      return { ok: false, text: "No response, or the token contains characters that a header cannot carry" };
    }
  }
}

/** Shows labelled figures in a list; hides its section if there are none. */
function showFigures(list, figures) {
  list.replaceChildren(...figures.map(([label, text]) => element("div", {}, element("dt", {}, label), element("dd", {}, text))));
  list.parentElement.hidden = !figures.length;
}

/** Keeps only the last of consecutive rejections with the same reason. */
function mergeRejections(recent) {
  const isSame = (event, next) => next && !event.to && !next.to && event.reason === next.reason;
  return recent.filter((event, index) => !isSame(event, recent[index + 1]));
}

function description(event) {
  if (!event.to) return `Last call rejected: ${event.reason}`;
  const states = `${stateLabel(event.from)} → ${stateLabel(event.to)}`;
  return event.reason ? `${states}: ${event.reason}` : states;
}
