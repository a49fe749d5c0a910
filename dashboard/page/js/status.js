// The state of the connection and the age of the data, and the form for a token.

import { clock, duration, setText } from "./format.js";
import { isSendable } from "./token.js";

/** The age of the last message, in seconds, from which data is stale: the server sends one at least every 5 seconds. */
const STALE = 12;
/** The age from which it is shown, and from which durations stand still. */
const LATE = 7;
/** The number of messages of which the one that has travelled fastest sets the clock. */
const CLOCK_SAMPLES = 12;

const TEXTS = { connecting: "Connecting", live: "Live", lost: "Connection lost, trying again", denied: "A token is required", stale: "No data" };

/**
 * The server's clock. It runs by the browser's monotonic clock, so a browser whose clock is wrong, or is set, shows the right durations.
 */
export class ServerClock {
  #offsets = [];
  #offset = Date.now() / 1000 - performance.now() / 1000;

  /** Takes the server's time of a message that has just arrived. */
  take(now) {
    if (!Number.isFinite(now)) return;
    this.#offsets.push(now - performance.now() / 1000);
    if (this.#offsets.length > CLOCK_SAMPLES) this.#offsets.shift();
    // A message is late by the time of its transfer, so the greatest offset is the best.
    this.#offset = Math.max(...this.#offsets);
  }

  now() {
    return performance.now() / 1000 + this.#offset;
  }
}

export class Status {
  #parts;
  #status = "connecting";
  #reason = "";
  /** When the last message arrived, by the browser's monotonic clock in seconds; `null` before the first. */
  #last = null;
  token = "";
  /** The token that the server has not accepted. */
  #denied = "";

  /** @param {{live, text, age, form, input, error, main}} parts elements of the page @param {() => void} onToken */
  constructor(parts, onToken) {
    this.#parts = parts;
    parts.form.addEventListener("submit", (event) => {
      event.preventDefault();
      const token = parts.input.value.trim();
      const canSend = isSendable(token);
      setText(parts.error, canSend ? "" : "Not sent: the token contains characters that a token cannot have.");
      if (!canSend) return;
      this.token = token;
      this.#denied = "";
      parts.input.value = "";
      onToken();
    });
  }

  /** Notes that a message has arrived. */
  received() {
    this.#last = performance.now() / 1000;
  }

  set(status, reason = "") {
    this.#status = status;
    this.#reason = reason;
    if (status !== "denied" || !this.token || this.#denied === this.token) return;
    this.#denied = this.token;
    setText(this.#parts.error, "The server does not accept this token.");
  }

  /** The age of the data in seconds; `null` before the first message. */
  get age() {
    return this.#last == null ? null : performance.now() / 1000 - this.#last;
  }

  /** The time up to which the page knows the state of the program: `now`, unless messages are missing. */
  known(now) {
    return this.age > LATE ? now - this.age : now;
  }

  get stale() {
    return this.age != null && this.age > STALE;
  }

  /** Shows the status; called once a second and after a change. */
  show(now) {
    const { live, text, age, form, main } = this.#parts;
    const state = this.#status === "live" && this.stale ? "stale" : this.#status;
    live.dataset.state = state;
    const old = this.age != null && state !== "live" && (state !== "polling" || this.stale);
    const lastData = old || this.age > LATE ? `. Last data ${clock(now - this.age, now)}, ${duration(this.age)} ago` : "";
    const polling = this.#reason ? `${this.#reason}: polling every 5 s` : "Polling every 5 s";
    setText(text, state === "polling" ? polling : TEXTS[state] ?? state);
    // The age changes every second, so it is not part of what screen readers announce.
    setText(age, lastData);
    form.hidden = state !== "denied";
    main.classList.toggle("aged", old);
  }
}
