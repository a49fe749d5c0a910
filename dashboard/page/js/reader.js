// Reads the server's stream by `fetch`: reconnects if it ends, and polls behind a proxy that holds it back.

/** The time without a byte, in milliseconds, after which a stream counts as dead: three of the server's pings. */
const SILENCE = 16_000;
/** The same before the first message, which may be long. */
const SILENCE_AT_START = 60_000;
/** The time without a first byte, in milliseconds, after which the page also polls. */
const FIRST_BYTE = 10_000;
const POLL_PERIOD = 5_000;
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
const ENDED = "ended", FAILED = "failed", SILENT = "silent", DENIED = "denied", FULL = "full", STOPPED = "stopped";

export class Reader {
  #url;
  #options;
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
    let silences = 0;
    while (current()) {
      const begun = performance.now();
      const { end, received } = await this.#stream(current);
      if (!current()) return;
      failures = received ? 0 : failures + 1;
      silences = end === SILENT ? silences + 1 : 0;
      if (end === DENIED) await this.#denied();
      else if (end === FULL) await this.#poll(current, "Too many open pages");
      else if (silences >= 2) await this.#poll(current, "A proxy holds the stream back");
      // A stream that the server has ended, or that has become silent, is opened again at once.
      else if (!received) {
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
    let received = false;
    let silent = false;
    let watchdog = 0;
    const watch = () => {
      clearTimeout(watchdog);
      watchdog = setTimeout(() => {
        silent = true;
        abort.abort();
      }, received ? SILENCE : SILENCE_AT_START);
    };
    const polling = new AbortController();
    const fallback = setTimeout(() => this.#pollUntil(polling.signal, current), FIRST_BYTE);
    try {
      const response = await this.#fetch(this.#url, abort.signal);
      if (!response.ok) return { end: { 401: DENIED, 503: FULL }[response.status] ?? FAILED, received };
      const parser = new Parser((name, text) => {
        if (!received) this.#options.onStatus("live");
        received = true;
        if (current()) this.#options.onEvent(name, text);
      });
      const reader = response.body.getReader();
      for (;;) {
        const { value, done } = await reader.read();
        if (done) return { end: ENDED, received };
        clearTimeout(fallback);
        polling.abort();
        watch();
        await parser.add(value);
      }
    } catch {
      return { end: current() ? (silent ? SILENT : FAILED) : STOPPED, received };
    } finally {
      clearTimeout(watchdog);
      clearTimeout(fallback);
      polling.abort();
      abort.abort();
    }
  }

  #fetch(url, signal) {
    return fetch(url, { headers: this.#options.headers(), signal, cache: "no-store" });
  }

  /** Polls until the signal, because no byte of the stream has arrived. */
  async #pollUntil(signal, current) {
    while (!signal.aborted && current()) {
      await this.#pollOnce(signal, "A proxy holds the stream back").catch(() => {});
      await new Promise((resolve) => setTimeout(resolve, POLL_PERIOD));
    }
  }

  /** Polls instead of reading a stream. */
  async #poll(current, reason) {
    const until = Date.now() + POLL_TIME;
    const { signal } = (this.#abort = new AbortController());
    while (current() && Date.now() < until) {
      const status = await this.#pollOnce(signal, reason).catch(() => 0);
      if (!current() || status === 401) return;
      if (!status) this.#options.onStatus("lost");
      await this.#sleep(POLL_PERIOD);
    }
  }

  /** Reads the present state once. @returns {Promise<number>} the status of the response, or 0 */
  async #pollOnce(signal, reason) {
    const url = new URL(this.#url);
    url.searchParams.set("once", "1");
    const response = await this.#fetch(url, signal);
    if (!response.ok) return response.status === 401 ? 401 : 0;
    const events = [];
    await new Parser((name, text) => events.push([name, text])).add(new Uint8Array(await response.arrayBuffer()));
    if (signal.aborted) return 0;
    this.#options.onStatus("polling", reason);
    for (const [name, text] of events) this.#options.onEvent(name, text);
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
