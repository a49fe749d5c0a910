// All there is about one breaker, and an operator's hand.

import { STATES, clock, element, exact, icon, setText, title } from "./format.js";
import { why } from "./card.js";
import { Strip } from "./strip.js";

const EXPIRIES = [["", "no expiry"], ["60", "1 minute"], ["300", "5 minutes"], ["900", "15 minutes"], ["3600", "1 hour"], ["28800", "8 hours"]];

/** Kept while the page is open, and nowhere else. */
let token = "";

export class Details {
  #dialog;
  #actions;
  #entry = null;
  #parts = null;

  constructor(dialog, actions) {
    this.#dialog = dialog;
    this.#actions = actions;
    dialog.addEventListener("close", () => (this.#entry = null));
    dialog.addEventListener("click", (event) => {
      if (event.target === dialog) dialog.close();
    });
  }

  get shown() {
    return this.#entry?.id;
  }

  open(entry, now, { canAct, started }) {
    this.#build(canAct, started);
    this.#dialog.showModal();
    this.update(entry, now);
  }

  update(entry, now) {
    this.#entry = entry;
    const { name, pill, why: text, facts, settings, history, strip, sheet } = this.#parts;
    setText(name, title(entry));
    sheet.dataset.state = entry.state;
    pill.replaceChildren(icon(entry.state), STATES[entry.state]?.word ?? entry.state);
    setText(text, why(entry, now));
    setText(settings, entry.settings);
    strip.draw(entry, now);
    strip.move(now);
    const figures = [
      ["Succeeded", entry.successes],
      ["Failed", entry.failures],
      ["Rejected", entry.rejections],
      ["Neither", entry.neutral],
      ["Changes of state", entry.transitions],
      ["Failed recoveries", entry.failed_recoveries],
    ];
    facts.replaceChildren(...figures.map(([word, figure]) =>
      element("div", {}, element("dt", {}, word), element("dd", {}, exact(figure)))));
    const lines = together(entry.recent).toReversed().map((line) =>
      element("li", {}, element("time", {}, clock(line.at)), element("span", {}, story(line))));
    history.replaceChildren(...(lines.length ? lines : [element("li", {}, "Nothing yet.")]));
  }

  tick(now) {
    if (this.#entry) setText(this.#parts.why, why(this.#entry, now));
  }

  #build(canAct, started) {
    const close = element("button", { type: "button", class: "quiet" }, "Close");
    close.addEventListener("click", () => this.#dialog.close());
    const parts = {
      name: element("h2", { id: "details-name" }),
      pill: element("span", { class: "pill" }),
      why: element("p"),
      facts: element("dl", { class: "facts" }),
      settings: element("code"),
      history: element("ol", { class: "history" }),
      strip: new Strip(started),
    };
    parts.sheet = element("div", { class: "sheet" },
      element("header", {}, element("div", {}, parts.name, parts.pill), close),
      parts.why,
      parts.strip.node,
      element("section", {}, element("h3", {}, "Since the program started"), parts.facts),
      element("section", {}, element("h3", {}, "What happened of late"), parts.history),
      element("section", {}, element("h3", {}, "Settings"), parts.settings),
      canAct ? this.#form() : element("p", { class: "note" }, "Read-only: this page has no token configured, so nobody can act here."),
    );
    this.#parts = parts;
    this.#dialog.replaceChildren(parts.sheet);
  }

  #form() {
    const reason = element("input", { name: "reason", maxlength: "200", autocomplete: "off", placeholder: "migration until 14:00" });
    const expiry = element("select", { name: "expires" }, ...EXPIRIES.map(([value, text]) => element("option", { value }, text)));
    const secret = element("input", { name: "token", type: "password", autocomplete: "off", placeholder: "what the service was started with" });
    secret.value = token;
    const result = element("p", { class: "result", role: "status" });
    const button = (action, text, style = "") => {
      const created = element("button", { type: "submit", value: action, class: style }, text);
      return created;
    };
    const form = element("form", { method: "dialog" },
      element("h3", {}, "An operator's hand"),
      element("div", { class: "fields" },
        element("label", {}, "Reason", reason),
        element("label", {}, "Ends after", expiry),
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
      const { ok, text } = await this.#act(action, reason.value, expiry.value);
      result.classList.add(ok ? "good" : "bad");
      setText(result, text);
    });
    return form;
  }

  async #act(action, reason, expiry) {
    const { name, key, overflow } = this.#entry;
    const body = { breaker: name, action, reason: reason.trim() || null };
    if (key != null) body.key = key;
    if (overflow) body.overflow = true;
    if (expiry && action !== "reset") body.expires_in = Number(expiry);
    try {
      const response = await fetch(this.#actions, {
        method: "POST",
        headers: { "Content-Type": "application/json", "Authorization": `Bearer ${token}` },
        credentials: "omit",
        body: JSON.stringify(body),
      });
      const answer = await response.json();
      if (!response.ok) return { ok: false, text: `Refused: ${answer.error}` };
      return { ok: true, text: `Done: ${STATES[answer.state]?.word ?? answer.state}` };
    } catch {
      return { ok: false, text: "Not done: no answer, or the token has characters that none can have" };
    }
  }
}

/** The history, with one line for rejections that follow each other. */
function together(recent) {
  const isSame = (line, next) => next && !line.to && !next.to && line.text === next.text;
  return recent.filter((line, index) => !isSame(line, recent[index + 1]));
}

/** A line of the history. */
function story(line) {
  if (!line.to) return `Last call rejected: ${line.text}`;
  const states = `${STATES[line.from]?.word ?? line.from} → ${STATES[line.to]?.word ?? line.to}`;
  return line.text ? `${states}: ${line.text}` : states;
}
