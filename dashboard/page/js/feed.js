// One stream for all tabs of a browser: the tab that holds a lock reads it, and passes its events on through a channel. A browser opens at
// most six connections to a host, and each stream costs the server work. Without locks (an address other than localhost without TLS), each
// tab has a stream while it is visible.

import { Reader } from "./reader.js";

/** The time without a message of the leading tab, in milliseconds, after which a visible tab takes over. */
const LEADER_SILENCE = 20_000;
const LEADER_BEAT = 5_000;
/** The time, in milliseconds, within which the leading tab answers a new one, even on a busy machine. */
const ANSWER_TIME = 8_000;

/**
 * Connects the page to the stream at `url` for as long as the page is open.
 * @param {URL} url
 * @param {{onMessage(name: string, data: object), onStatus(status: string, reason?: string), headers(): object, onHeaders(headers: object), snapshot(): [string, object][]}} options
 *   `onStatus`: `connecting`, `live`, `polling`, `lost` or `denied`; `onHeaders`: another tab has a token; `snapshot`: the messages that
 *   bring another tab to the state of this one
 * @returns {{retry()}} `retry` tries again at once, for example with a new token
 */
export function connect(url, options) {
  const feed = navigator.locks && window.BroadcastChannel ? new SharedFeed(url, options) : new VisibleFeed(url, options);
  window.addEventListener("online", () => feed.retry());
  return feed;
}

const parsed = ({ onMessage }) => (name, text) => onMessage(name, JSON.parse(text));

class VisibleFeed {
  #reader;

  constructor(url, options) {
    this.#reader = new Reader(url, { ...options, onEvent: parsed(options) });
    document.addEventListener("visibilitychange", () => (document.hidden ? this.#reader.stop() : this.#reader.start()));
    if (!document.hidden) this.#reader.start();
  }

  retry() {
    this.#reader.retry();
  }
}

class SharedFeed {
  #options;
  #channel;
  #lock;
  #reader;
  #id = Math.random().toString(36).slice(2);
  #leading = false;
  #status = ["connecting"];
  /** The number of the last event that this tab has passed on, or received. */
  #number = 0;
  /** The id of the tab whose events this tab follows; empty until a snapshot or a start has arrived. */
  #followed = "";
  #heard = performance.now();

  constructor(url, options) {
    this.#options = options;
    this.#lock = `steadfast ${url.href}`;
    this.#channel = new BroadcastChannel(this.#lock);
    this.#channel.onmessage = ({ data }) => this.#receive(data);
    this.#reader = new Reader(url, {
      headers: options.headers,
      onEvent: (name, text) => {
        this.#post({ type: "event", number: ++this.#number, name, text });
        this.#deliver(name, text);
      },
      onStatus: (...status) => this.#setStatus(status),
    });
    this.#lead({});
    this.#post({ type: "hello" });
    setTimeout(() => this.#checkLeader(ANSWER_TIME), ANSWER_TIME);
    setInterval(() => (this.#leading ? this.#postStatus() : this.#checkLeader(LEADER_SILENCE)), LEADER_BEAT);
  }

  retry() {
    if (this.#leading) this.#reader.retry();
    this.#post({ type: "retry", headers: this.#options.headers() });
  }

  /** Waits until this tab is the leading one, and reads the stream until another tab takes over. */
  async #lead(how) {
    try {
      await navigator.locks.request(this.#lock, how, () => {
        this.#leading = true;
        this.#reader.start();
        return new Promise(() => {});
      });
    } catch {
      // Another tab has taken over.
      this.#leading = false;
      this.#followed = "";
      this.#heard = performance.now();
      this.#reader.stop();
      this.#lead({});
    }
  }

  /** Takes over if the leading tab is silent, because the browser has frozen it. */
  #checkLeader(time) {
    if (!this.#leading && !document.hidden && performance.now() - this.#heard >= time) this.#lead({ steal: true });
  }

  #receive(message) {
    const { type } = message;
    if (type === "retry" || type === "snapshot") this.#options.onHeaders(message.headers);
    if (this.#leading && type === "retry") this.#reader.retry();
    if (this.#leading && type === "hello") this.#answer();
    if (this.#leading || type === "hello" || type === "retry") return;
    this.#heard = performance.now();
    if (message.type === "status") this.#setStatus(message.status);
    if (message.type === "snapshot" && !this.#followed) {
      this.#follow(message);
      this.#setStatus(message.status);
      for (const [name, data] of message.messages) this.#options.onMessage(name, data);
    }
    if (message.type === "event") {
      // Everything follows a start, so no snapshot is needed.
      if (message.name === "start") this.#follow({ ...message, number: message.number - 1 });
      if (message.from === this.#followed && message.number === this.#number + 1) {
        this.#number = message.number;
        this.#deliver(message.name, message.text);
      } else if (message.from !== this.#followed || message.number > this.#number) {
        // An event was missed while the browser had frozen this tab.
        this.#followed = "";
        this.#post({ type: "hello" });
      }
    }
  }

  #answer() {
    const { headers, snapshot } = this.#options;
    this.#post({ type: "snapshot", number: this.#number, status: this.#status, headers: headers(), messages: snapshot() });
  }

  #follow({ from, number }) {
    this.#followed = from;
    this.#number = number;
  }

  #deliver(name, text) {
    parsed(this.#options)(name, text);
  }

  #setStatus(status) {
    this.#status = status;
    this.#options.onStatus(...status);
    if (this.#leading) this.#postStatus();
  }

  #postStatus() {
    this.#post({ type: "status", status: this.#status });
  }

  #post(message) {
    this.#channel.postMessage({ from: this.#id, ...message });
  }
}
