// Reads the server's stream by `fetch`: reconnects if it ends, and polls behind a proxy that holds it back. A stream that was held back is
// tried beside polling: its events are kept, and passed on only after one of them has arrived in time.

/** The time without a byte, in milliseconds, after which a stream counts as dead: more than two of the server's pings. */
const SILENCE = 12_000;
/** The same before the first message, which may be long. */
const SILENCE_AT_START = 60_000;
/** The time without a first byte, in milliseconds, after which the page also polls. */
const FIRST_BYTE = 10_000;
/** The delay of an event, in milliseconds, from which a stream counts as held back: its data would be old. */
const LATE = 8_000;
const POLL_PERIOD = 5_000;
/** The maximum time of one poll, in milliseconds. */
const POLL_LIMIT = 20_000;
/** The time of polling, in milliseconds, after which a stream is tried again. */
const POLL_TIME = 60_000;
const MAX_DELAY = 5_000;

/** Calls `onEvent(name, text)` for each event in the chunks that are added. */
class Parser {
  #decoder = new TextDecoder();
  #buffer = "";
  #onEvent;

  constructor(onEvent) {
    this.#onEvent = onEvent;
  }

  async add(bytes) {
    let searched = Math.max(0, this.#buffer.length - 1);
    this.#buffer += this.#decoder.decode(bytes, { stream: true });
    for (let end; (end = this.#buffer.indexOf("\n\n", searched)) >= 0; searched = 0) {
      const block = this.#buffer.slice(0, end);
      this.#buffer = this.#buffer.slice(end + 2);
      const lines = block.split("\n");
      const field = (name) => lines.filter((line) => line.startsWith(`${name}:`)).map((line) => line.slice(name.length + 1).trimStart()).join("\n");
      const name = field("event");
      if (!name) continue;
      this.#onEvent(name, field("data"));
      // The browser draws the first cards before the remaining rows are read.
      if (name === "rows") await nextTask();
    }
  }
}

/** Waits for the browser's next task. A timer would be throttled in a hidden tab. */
function nextTask() {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}

/** The least time between two streams, in milliseconds. */
const LEAST_PERIOD = 2_000;

/** How a stream has ended. */
const ENDED = "ended", FAILED = "failed", HELD = "held", DENIED = "denied", FULL = "full", STOPPED = "stopped";

const HELD_BACK = "A proxy holds the stream back";
/** The events with the server's time, which shows how late they are. */
const TIMED = ["ping", "changes"];

/** Returns the server's time of an event before the browser's, in milliseconds. */
const lead = (text) => Number(/"now":([\d.]+)/.exec(text)?.[1]) * 1000 - performance.now();

export class Reader {
  #url;
  #options;
  /** True while streams are held back: from the first sign of it until an event arrives in time. */
  #held = false;
  /** The greatest lead of the server's time in the events of the last stream or poll. */
  #lead = -Infinity;
  #run = 0;
  #abort = new AbortController();
  #wake = () => {};

  /** @param {{onEvent(name: string, text: string), onStatus(status: string, reason?: string), headers(): object}} options */
  constructor(url, options) {
    this.#url = url;
    this.#options = options;
  }

  /** Starts to read. */
  start() {
    this.#loop(++this.#run);
  }

  /** Stops to read until the next `start`. */
  stop() {
    this.#run += 1;
    this.#abort.abort();
    this.#wake();
  }

  /** Tries again at once if the reader waits, for example with a new token. */
  retry() {
    this.#wake();
  }

  async #loop(run) {
    const current = () => run === this.#run;
    let failures = 0;
    while (current()) {
      const begun = performance.now();
      const { end, received } = await this.#stream(current);
      if (!current()) return;
      failures = received ? 0 : failures + 1;
      // After the first sign, a stream is tried at once, because the line or the server may have stood still.
      const isHeldAgain = end === HELD && this.#held;
      this.#held = end === HELD || (this.#held && end !== FAILED);
      if (end === DENIED) await this.#denied();
      else if (end === FULL) await this.#poll(current, "Too many open pages");
      else if (isHeldAgain) await this.#poll(current, HELD_BACK);
      // A stream that the server has ended is opened again at once.
      else if (end !== HELD && !received) {
        this.#options.onStatus("lost");
        await this.#sleep(Math.min(MAX_DELAY, 1000 * failures));
      } else if (performance.now() - begun < LEAST_PERIOD) await this.#sleep(LEAST_PERIOD);
    }
  }

  async #denied() {
    this.#options.onStatus("denied");
    await this.#sleep(30_000);
  }

  /** Reads one stream to its end. @returns {Promise<{end: string, received: boolean}>} `received`: whether an event has arrived */
  async #stream(current) {
    const abort = (this.#abort = new AbortController());
    const kept = [];
    let received = false;
    let isHeld = false;
    let watchdog = 0;
    const hold = () => {
      isHeld = true;
      abort.abort();
    };
    const watch = () => {
      clearTimeout(watchdog);
      watchdog = setTimeout(hold, received ? SILENCE : SILENCE_AT_START);
    };
    const polling = new AbortController();
    const pollBeside = () => {
      this.#held = true;
      this.#pollUntil(polling.signal, current);
    };
    const fallback = this.#held ? 0 : setTimeout(pollBeside, FIRST_BYTE);
    if (this.#held) pollBeside();
    watch();
    try {
      const response = await this.#fetch(this.#url, abort.signal);
      if (!response.ok) return { end: { 401: DENIED, 503: FULL }[response.status] ?? FAILED, received };
      const parser = new Parser((name, text) => {
        if (!current() || isHeld) return;
        kept.push([name, text]);
        const isFirst = !received;
        received = true;
        if (name === "start" && !this.#held) this.#lead = lead(text);
        const isTimed = TIMED.includes(name);
        if (isTimed && this.#isLate(text)) return hold();
        if (this.#held && !isTimed) return;
        if (this.#held || isFirst) this.#options.onStatus("live");
        this.#held = false;
        polling.abort();
        for (const event of kept.splice(0)) this.#options.onEvent(...event);
      });
      const reader = response.body.getReader();
      for (;;) {
        const { value, done } = await reader.read();
        if (done) return { end: this.#held ? HELD : ENDED, received };
        clearTimeout(fallback);
        watch();
        await parser.add(value);
      }
    } catch {
      return { end: current() ? (isHeld ? HELD : FAILED) : STOPPED, received };
    } finally {
      clearTimeout(watchdog);
      clearTimeout(fallback);
      polling.abort();
      abort.abort();
    }
  }

  /** Returns true for an event that has arrived much later than the fastest one before it. */
  #isLate(text) {
    const now = lead(text);
    const late = this.#lead - now > LATE;
    this.#lead = Math.max(this.#lead, now || -Infinity);
    return late;
  }

  #fetch(url, signal) {
    return fetch(url, { headers: this.#options.headers(), signal, cache: "no-store" });
  }

  /** Polls until the signal, because the stream is held back. */
  async #pollUntil(signal, current) {
    while (!signal.aborted && current()) {
      await this.#pollOnce(signal, HELD_BACK).catch(() => {});
      await new Promise((resolve) => setTimeout(resolve, POLL_PERIOD));
    }
  }

  /** Polls instead of reading a stream. */
  async #poll(current, reason) {
    const until = Date.now() + POLL_TIME;
    const { signal } = (this.#abort = new AbortController());
    let failed = false;
    while (current() && Date.now() < until) {
      const status = await this.#pollOnce(signal, reason).catch(() => 0);
      // After an interruption, the stream may arrive in time again.
      if (!current() || status === 401 || (status && failed)) return;
      failed ||= !status;
      if (!status) this.#options.onStatus("lost");
      await this.#sleep(POLL_PERIOD);
    }
  }

  /** Reads the present state once. @returns {Promise<number>} the status of the response, or 0 */
  async #pollOnce(signal, reason) {
    const url = new URL(this.#url);
    url.searchParams.set("once", "1");
    const response = await this.#fetch(url, AbortSignal.any([signal, AbortSignal.timeout(POLL_LIMIT)]));
    if (!response.ok) return response.status === 401 ? 401 : 0;
    const events = [];
    await new Parser((name, text) => events.push([name, text])).add(new Uint8Array(await response.arrayBuffer()));
    if (signal.aborted) return 0;
    this.#options.onStatus("polling", reason);
    for (const [name, text] of events) {
      if (name === "start") this.#lead = lead(text);
      this.#options.onEvent(name, text);
    }
    return response.status;
  }

  #sleep(milliseconds) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
