// Manual control of a breaker, of a key, or of all keys of a breaker.

import { clock, counted, duration, element, setText, stateLabel, title } from "./format.js";
import { changeText, check, isOpenByItself, isOverridden, isOverride, isUnseen, lastOverride, newRequestId, send } from "./override.js";
import { Question } from "./question.js";
import { isSendable } from "./token.js";

/** The expiries that can be selected: value in seconds and label. */
const EXPIRIES = [["60", "1 minute"], ["300", "5 minutes"], ["900", "15 minutes"], ["3600", "1 hour"], ["28800", "8 hours"], ["none", "no expiry"]];
const DEFAULT_EXPIRY = "900";
const ACTIONS = {
  force_open: { label: "Force open", asked: "Force", done: "forced open" },
  disable: { label: "Disable", asked: "Disable", done: "disabled" },
  reset: { label: "Reset", asked: "Reset", done: "reset" },
};
const RESET_NOTES = {
  "End the override": "the circuit closes",
  "End the overrides": "the circuits of all keys close, also those that are open by themselves",
  "Close now": "calls are admitted at once, without a trial call",
  "Close all now": "the calls of all keys are admitted at once, without trial calls",
  "Reset": "the circuit closes",
};
/** The time, in milliseconds, within which the same action is not done twice. */
const REPEAT = 700;
/** The number of times that a request is sent again after a change that no operator made. */
const RESENDS = 3;

/** The operator's token and name. They are kept in memory only, until the page is closed. */
const credentials = { token: "", operator: "" };
/** The typed values of each item, the result of its last action, and the promise of a running one, which survive the closing of the dialog. */
const drafts = new Map();

/** Returns the label of the action "reset": what it does to the breaker, or to the keys of the group. */
function resetLabel(entry) {
  const isGroup = entry.kind === "group";
  if (isOverridden(entry)) return isGroup ? "End the overrides" : "End the override";
  return isOpenByItself(entry) ? (isGroup ? "Close all now" : "Close now") : "Reset";
}

export class Actions {
  #ctx;
  #entry;
  #refresh;
  #draft;
  #question = new Question();
  #isBusy = false;
  #isClosed = false;
  #last = { action: "", at: 0 };
  #reason = element("input", { name: "reason", maxlength: "200", autocomplete: "off", placeholder: "migration until 14:00" });
  #expiry = element("select", { name: "expires" }, ...EXPIRIES.map(([value, label]) => element("option", { value }, label)));
  #operator = element("input", { name: "operator", maxlength: "64", autocomplete: "off", placeholder: "shown in the log" });
  #token = element("input", { name: "token", type: "password", autocomplete: "off", placeholder: "kept until this page is closed" });
  #result = element("p", { class: "result", role: "status" });
  #note = element("p", { class: "note" });
  #buttons = Object.entries(ACTIONS).map(([action, { label }]) => element("button", { type: "button", value: action, class: action === "force_open" ? "force" : "" }, label));
  node;

  /** Creates the form for `entry`; `refresh` reads the entry again and calls `update`. */
  constructor(ctx, entry, refresh) {
    this.#ctx = ctx;
    this.#entry = entry;
    this.#refresh = refresh;
    if (!drafts.has(entry.id)) drafts.set(entry.id, { reason: "", expiry: DEFAULT_EXPIRY, result: null, running: null });
    this.#draft = drafts.get(entry.id);
    this.#reason.value = this.#draft.reason;
    this.#expiry.value = this.#draft.expiry;
    this.#operator.value = credentials.operator;
    this.#token.value = credentials.token;
    if (this.#draft.result) this.#show(...this.#draft.result);
    this.node = element("form", { class: "actions", "aria-labelledby": "actions-title", novalidate: true },
      element("h3", { id: "actions-title" }, "Manual control"),
      element("div", { class: "fields" },
        element("label", { class: "wide" }, "Reason", this.#reason),
        element("label", {}, "Expires after", this.#expiry),
        element("label", {}, "Your name", this.#operator),
        element("label", { class: "wide" }, "Token", this.#token)),
      element("div", { class: "buttons" }, ...this.#buttons),
      this.#note, this.#result, this.#question.node);
    this.update(entry);
    this.#listen();
    if (this.#draft.running) this.#follow(this.#draft.running);
  }

  #listen() {
    this.node.addEventListener("input", () => {
      this.#draft.reason = this.#reason.value;
      this.#draft.expiry = this.#expiry.value;
      credentials.operator = this.#operator.value;
      credentials.token = this.#token.value;
    });
    // Enter in a field starts nothing: an action is chosen by its button.
    this.node.addEventListener("submit", (event) => event.preventDefault());
    this.node.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.target.tagName !== "INPUT") return;
      event.preventDefault();
      this.#show("", `Choose an action: Force open, Disable or ${resetLabel(this.#entry)}.`);
    });
    // The second click of a double click is no action of its own: its first may have answered the question above the button.
    for (const button of this.#buttons) button.addEventListener("click", ({ detail }) => detail < 2 && this.#start(button.value));
  }

  /** Takes over the newest values of the entry. */
  update(entry) {
    this.#entry = entry;
    const reset = resetLabel(entry);
    setText(this.#buttons.at(-1), reset);
    setText(this.#note, `Force open: every call is rejected. Disable: every call is admitted. ${reset}: ${RESET_NOTES[reset]}.`);
    // What the action has done may be over: a circuit opens again if calls still fail.
    const { result, at, state } = this.#draft;
    if (result?.[0] === "good" && state && entry.state !== state && entry.since > at) {
      this.#draft.result = ["", `${result[1]} Since ${clock(entry.since)} it is ${stateLabel(entry.state).toLowerCase()}.`];
      this.#show(...this.#draft.result, false);
    }
  }

  /** Cancels a question. A request in progress goes on, and the next form of the entry shows its result. */
  close() {
    this.#isClosed = true;
    this.#question.close();
  }

  async #start(action) {
    const isRepeated = this.#last.action === action && performance.now() - this.#last.at < REPEAT;
    if (this.#isBusy || isRepeated || !this.#isComplete(action)) return;
    this.#setBusy(true);
    this.#show("", "");
    this.#draft.running = this.#run(action);
    await this.#draft.running;
    this.#draft.running = null;
    this.#setBusy(false);
    await this.#refresh();
  }

  async #run(action) {
    const outcome = await this.#act(action);
    if (!outcome) return;
    this.#last = { action, at: performance.now() };
    this.#report(action, outcome);
  }

  /** Waits for an action that was started before the details were closed and opened again. */
  async #follow(running) {
    this.#setBusy(true);
    this.#show("", "Sending…");
    await running;
    this.#reason.value = this.#draft.reason;
    this.#show(...(this.#draft.result ?? ["", ""]));
    this.#setBusy(false);
    if (!this.#isClosed) await this.#refresh();
  }

  /** Asks and sends until there is an outcome. Returns null if the operator cancels. */
  async #act(action) {
    let seen = this.#entry;
    let question = this.#questionFor(action);
    for (let resends = 0; ;) {
      if (question && this.#isClosed) return question.change ? { kind: "refused", text: question.change } : null;
      if (question && !(await this.#question.ask(question))) {
        if (!this.#isClosed) this.#show("", "Cancelled: nothing was done.");
        return null;
      }
      if (isUnseen(this.#entry, seen)) {
        question = this.#conflict(action, { ...this.#entry, ...(await lastOverride(this.#ctx, this.#entry)) });
        seen = this.#entry;
        continue;
      }
      const body = this.#body(action, seen);
      Object.assign(this.#draft, { at: this.#ctx.time(), state: null, result: null });
      this.#show("", "Sending…");
      const outcome = await this.#sendOrCheck(body);
      if (outcome.kind !== "conflict") return outcome;
      await this.#refresh();
      // A change by the breaker itself, such as a failed trial call, is no reason to ask.
      const byItself = !outcome.operator && !outcome.action && !isOverride(outcome.state) && !isOverride(seen.state);
      question = byItself && ++resends <= RESENDS ? null : this.#conflict(action, outcome);
      seen = { ...this.#entry, last_override: outcome.n ?? this.#entry.last_override };
    }
  }

  async #sendOrCheck(body) {
    const url = new URL("api/overrides", this.#ctx.base);
    const { token } = credentials;
    const outcome = await send(url, token, body);
    if (outcome.kind !== "unknown") return outcome;
    const text = "Unknown whether it was applied: no answer arrived. Look at the state above and at the log.";
    this.#keep("bad", `${text} Asking again…`);
    return check(url, token, body);
  }

  /** Returns the request; `seen` is the entry that the operator has seen. */
  #body(action, seen) {
    const { name, key, overflow, kind, transitions } = this.#entry;
    const body = { breaker: name, action, reason: this.#reason.value.trim() || null, request_id: newRequestId() };
    if (key != null) body.key = key;
    if (overflow) body.overflow = true;
    if (action !== "reset") body.expires_in = this.#expiry.value === "none" ? null : Number(this.#expiry.value);
    if (this.#operator.value.trim()) body.operator = this.#operator.value.trim();
    body.expected_override = seen.last_override ?? null;
    if (kind !== "group" && transitions != null) body.expected_transitions = transitions;
    return body;
  }

  #isComplete(action) {
    const missing = (field, text) => {
      this.#show("bad", text);
      field.setAttribute("aria-invalid", "true");
      field.focus();
      return false;
    };
    for (const field of [this.#reason, this.#token]) field.removeAttribute("aria-invalid");
    const needsReason = action !== "reset" || isOpenByItself(this.#entry);
    if (needsReason && !this.#reason.value.trim()) return missing(this.#reason, `Not sent: enter a reason. It is shown ${action === "reset" ? "" : "in rejections and "}in the log.`);
    credentials.token = this.#token.value.trim();
    if (!credentials.token) return missing(this.#token, "Not sent: enter the token.");
    if (!isSendable(credentials.token)) return missing(this.#token, "Not sent: the token contains characters that a token cannot have.");
    return true;
  }

  /** Returns the question before an action, or null for an action on one breaker that rejects no call and ends no protection. */
  #questionFor(action) {
    const isGroup = this.#entry.kind === "group";
    if (action === "reset" && isOpenByItself(this.#entry) && !isOverridden(this.#entry)) return this.#closeQuestion(isGroup);
    if (action !== "force_open" && !isGroup) return null;
    const { asked } = ACTIONS[action];
    const name = title(this.#entry);
    const keys = counted(this.#entry.keys ?? 0, "key");
    const until = this.#expiry.value === "none" ? "until an operator resets it" : `for ${duration(Number(this.#expiry.value))}`;
    const what = action === "force_open" ? `Every call is rejected ${until}.` : action === "disable" ? `Every call is admitted ${until}, even if all of them fail.` : "Overrides end, and the circuits close.";
    return {
      title: `${asked} ${isGroup ? `all ${keys} of ${name}` : name}${action === "force_open" ? " open" : ""}?`,
      text: isGroup ? `${what} Keys that appear later are not affected.` : what,
      confirm: action === "force_open" ? "Force open" : `${asked} ${keys}`,
    };
  }

  #closeQuestion(isGroup) {
    const what = isGroup ? `all ${counted(this.#entry.keys ?? 0, "key")} of ${title(this.#entry)}` : title(this.#entry);
    const circuits = isGroup ? "Some circuits are open because their calls failed" : "The circuit is open because calls failed";
    return {
      title: `Close ${what} now?`,
      text: `${circuits}. All calls are admitted at once, without a trial call. If they still fail, it opens again, and the outage is counted from then.`,
      confirm: resetLabel(this.#entry),
    };
  }

  /** Returns the question after a change by another operator, from the answer of the server or from the entry. */
  #conflict(action, answer) {
    const { since, at = since, reason, operator_reason: byOperator } = answer;
    const text = reason ?? byOperator;
    const when = at ? ` at ${clock(at)} (${duration(Math.max(0, this.#ctx.time() - at))} ago)` : "";
    const change = `${changeText(answer)}${when}${text ? `: “${text}”` : ""}`;
    return {
      change,
      title: `${title(this.#entry)} was changed meanwhile`,
      text: `${change}. Your action was not applied.`,
      confirm: `${action === "reset" ? resetLabel(this.#entry) : ACTIONS[action].label} anyway`,
    };
  }

  #report(action, outcome) {
    if (outcome.kind === "applied") {
      const { applied, expires_at: end, state } = outcome;
      const what = this.#entry.kind === "group" && applied != null ? `${counted(applied, "key")} ${ACTIONS[action].done}` : action === "reset" ? `reset, now ${stateLabel(state).toLowerCase()}` : ACTIONS[action].done;
      this.#keep("good", `Applied at ${clock(this.#draft.at)}: ${what}${action === "reset" ? "" : end ? ` until ${clock(end)}` : ", without expiry"}.`);
      Object.assign(this.#draft, { state: this.#entry.kind === "group" ? null : state, reason: "" });
      this.#reason.value = "";
    } else if (outcome.kind === "refused") {
      this.#keep("bad", `Not applied: ${outcome.text}.`);
    } else {
      this.#keep("bad", `Unknown whether it was applied (${ACTIONS[action].label}, ${clock(this.#ctx.time())}): no answer arrived. Look at the state above and at the log before you try again.`);
    }
  }

  /** Shows a result that is shown again when the details are opened again. */
  #keep(style, text) {
    this.#draft.result = [style, text];
    this.#show(style, text);
  }

  #show(style, text, scrolls = true) {
    this.#result.className = `result ${style}`;
    setText(this.#result, text);
    if (text && scrolls) this.#result.scrollIntoView({ block: "nearest" });
  }

  /** Disabled buttons would lose the focus, so they are only marked. */
  #setBusy(isBusy) {
    this.#isBusy = isBusy;
    this.node.setAttribute("aria-busy", String(isBusy));
    for (const button of this.#buttons) button.setAttribute("aria-disabled", String(isBusy));
  }
}

/** Returns the text in the place of the form while manual control is not configured. */
export const readOnly = () => element("section", { class: "actions" }, element("h3", {}, "Manual control"),
  element("p", { class: "note" }, "Read-only. To force breakers open, disable or reset them from this page, configure a token in the program:"),
  element("code", {}, "Dashboard::new().token(Token::new(std::env::var(\"DASHBOARD_TOKEN\")?)?)"));
