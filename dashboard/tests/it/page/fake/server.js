// A server and a clock in the place of the real ones, for a page in a browser. A test injects this file before the page's own scripts, and
// controls both through `fake`: time passes only by `fake.advance`, and the stream carries only what `fake.send` puts into it.

(() => {
  const origin = Date.now();
  let elapsed = 0;
  const timers = new Map();
  let lastTimer = 0;

  const RealDate = Date;
  window.Date = class extends RealDate {
    constructor(...parts) {
      super(...(parts.length ? parts : [origin + elapsed]));
    }
    static now() {
      return origin + elapsed;
    }
  };
  performance.now = () => elapsed;

  const real = { setTimeout, setInterval, clearTimeout, clearInterval };
  const addTimer = (action, delay, period, parts) => {
    timers.set(++lastTimer, { at: elapsed + Math.max(0, Number(delay) || 0), period, action: () => action(...parts) });
    return lastTimer;
  };
  const controlled = {
    setTimeout: (action, delay, ...parts) => addTimer(action, delay, null, parts),
    setInterval: (action, delay, ...parts) => addTimer(action, delay, Math.max(1, Number(delay) || 0), parts),
    clearTimeout: (timer) => timers.delete(timer),
    clearInterval: (timer) => timers.delete(timer),
  };
  Object.assign(window, controlled);
  AbortSignal.timeout = (delay) => {
    const abort = new AbortController();
    setTimeout(() => abort.abort(new DOMException("The operation timed out.", "TimeoutError")), delay);
    return abort.signal;
  };

  // The browser's own tasks, which the clock above does not control.
  const channel = new MessageChannel();
  const waiting = [];
  channel.port1.onmessage = () => waiting.shift()();
  const task = () => new Promise((resolve) => {
    waiting.push(resolve);
    channel.port2.postMessage(null);
  });
  const settle = async () => {
    for (let count = 0; count < 4; count += 1) await task();
  };

  const encoder = new TextEncoder();
  const event = (name, data) => encoder.encode(`event: ${name}\ndata: ${JSON.stringify(data)}\n\n`);
  const json = (status, body) => new Response(JSON.stringify(body), { status, headers: { "content-type": "application/json" } });
  const never = new Promise(() => {});

  /** Answers to requests by path; items.js adds some, and a test replaces them. A function returns a response, or throws as a lost connection does. */
  const routes = {
    "api/live": live,
    "api/keys": () => json(200, { total: 0, matches: 0, keys: [] }),
    "api/events": () => json(200, { last: 0, events: [] }),
    "api/overrides": () => json(200, { state: "forced-open", applied: 1, expires_at: fake.now() + 900, n: 1 }),
  };

  let streams = [];
  function open(signal) {
    let own;
    const body = new ReadableStream({ start: (controller) => streams.push((own = controller)) });
    signal?.addEventListener("abort", () => {
      streams = streams.filter((stream) => stream !== own);
      own.error(signal.reason);
    });
    return new Response(body, { headers: { "content-type": "text/event-stream" } });
  }

  function live({ search, signal }) {
    return search.has("once") ? once() : open(signal);
  }

  function once() {
    const { start, rows, log } = fake.messages();
    const parts = [event("start", start), ...rows.map((message) => event("rows", message)), event("log", log)];
    return new Response(new Blob(parts), { headers: { "content-type": "text/event-stream" } });
  }

  const realFetch = window.fetch;
  window.fetch = async (input, options = {}) => {
    const url = new URL(input instanceof Request ? input.url : input, location.href);
    const path = url.pathname.slice(url.pathname.lastIndexOf("/api/") + 1);
    if (!routes[path]) return realFetch(input, options);
    const { signal } = options;
    const request = { path, search: url.searchParams, method: options.method ?? "GET", body: options.body ? JSON.parse(options.body) : null, headers: new Headers(options.headers), at: elapsed, signal };
    fake.requests.push(request);
    const aborted = new Promise((_, reject) => {
      if (signal?.aborted) reject(signal.reason);
      signal?.addEventListener("abort", () => reject(signal.reason));
    });
    return Promise.race([Promise.resolve().then(() => routes[path](request)), aborted]);
  };

  const fake = (window.fake = {
    routes,
    json,
    never,
    live,
    once,
    /** The requests of the page, oldest first. */
    requests: [],
    /** The rows of the present state, as in the stream, with their numbers. */
    rows: [],
    events: [],
    canOverride: true,
    started: origin / 1000 - 3600,
    now: () => (origin + elapsed) / 1000,
    /** What callers got in the last minute over all: no fallback of the made-up program has more than one breaker. */
    callers() {
      const sum = { seconds: 60, answered: 0, fallback: 0, failed: 0, rejected: 0, ignored: 0, cancelled: 0 };
      for (const { kind, callers, last_minute: minute } of fake.rows) {
        if (!minute || (kind !== "breaker" && kind !== "group")) continue;
        const { successes: answered, failures: failed, rejections: rejected, ignored, cancelled } = minute;
        const outcomes = callers ? minute.callers : { answered, failed, rejected, ignored, cancelled };
        for (const [outcome, calls] of Object.entries(outcomes ?? {})) sum[outcome] += calls ?? 0;
      }
      return sum;
    },
    /** The messages that describe the present state. */
    messages() {
      const counts = Object.fromEntries(["closed", "hung", "ramping", "half-open", "open", "forced-open", "disabled", "observing"].map((name) => [name, 0]));
      for (const { condition, kind, ...group } of fake.rows) {
        if (condition) counts[condition] += 1;
        // The keys that are not listed are closed.
        if (kind === "group") counts.closed += group.keys - fake.rows.filter((row) => row.kind === "key" && row.name === group.name).length;
      }
      const rows = [];
      for (let first = 0; first === 0 || first < fake.rows.length; first += 100) {
        rows.push({ rows: fake.rows.slice(first, first + 100), done: first + 100 >= fake.rows.length });
      }
      const start = { version: 1, now: fake.now(), started: fake.started, title: "shop", instance: "web-1", can_override: fake.canOverride, total: fake.rows.length, counts, callers: fake.callers(), events_after: fake.events.length };
      return { start, rows, log: { events: fake.events.slice(-40) } };
    },
    /** Sends an event on every open stream. */
    async send(name, data) {
      for (const stream of streams) stream.enqueue(event(name, data));
      await settle();
    },
    /** Sends the whole present state. */
    async sendAll() {
      const { start, rows, log } = fake.messages();
      await fake.send("start", start);
      for (const message of rows) await fake.send("rows", message);
      await fake.send("log", log);
    },
    /** Changes fields of the row with this id, and sends the change. */
    async change(id, fields) {
      const row = fake.rows.find((row) => row.id === id);
      Object.assign(row, fields);
      await fake.send("changes", { now: fake.now(), counts: fake.messages().start.counts, callers: fake.callers(), set: [[row.i, fields]] });
    },
    /** Sends an event in parts, one a second, as a slow line does. */
    async sendSlowly(name, data, parts) {
      const bytes = event(name, data);
      for (let part = 0; part < parts; part += 1) {
        const piece = bytes.slice((bytes.length * part) / parts, (bytes.length * (part + 1)) / parts);
        for (const stream of streams) stream.enqueue(piece);
        await fake.advance(1);
      }
    },
    /** Ends every open stream as a lost connection does. */
    async drop() {
      const ended = streams;
      streams = [];
      for (const stream of ended) stream.error(new TypeError("network error"));
      await settle();
    },
    /** The number of streams that the page has opened so far. */
    opened: () => fake.requests.filter(({ path, search }) => path === "api/live" && !search.has("once")).length,
    /** Lets seconds pass: runs the timers that are due, in their order. */
    async advance(seconds) {
      const end = elapsed + seconds * 1000;
      for (;;) {
        const [timer, next] = [...timers].reduce((one, other) => (other[1].at < (one[1]?.at ?? Infinity) ? other : one), []);
        if (!next || next.at > end) break;
        elapsed = Math.max(elapsed, next.at);
        if (next.period) next.at += next.period;
        else timers.delete(timer);
        next.action();
        await settle();
      }
      elapsed = end;
      await settle();
    },
    /** Lets seconds pass while the server pings, as it does when nothing else happens. */
    async idle(seconds) {
      for (let passed = 0; passed < seconds; passed += 5) {
        await fake.advance(5);
        await fake.send("ping", { now: fake.now() });
      }
    },
    /** Runs a tool that needs the browser's own timers. */
    async withTimers(tool) {
      Object.assign(window, real);
      try {
        return await tool();
      } finally {
        Object.assign(window, controlled);
      }
    },
    /** Waits until the browser has drawn what has changed. */
    frame: () => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))),
  });
})();
