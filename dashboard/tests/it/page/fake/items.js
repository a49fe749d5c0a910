// Made-up rows for the server of server.js: `fake.use("empty" | "healthy" | "outage" | "outage of 1000")`.

(() => {
  const CONDITIONS = ["open", "half-open", "forced-open", "hung", "ramping", "observing", "disabled", "closed"];
  const NAMES = ["payments", "shipping quotes", "fraud check", "search", "recommendations", "prices", "ledger export", "mail", "catalogue", "stock", "reviews", "sessions"];
  const STATES = { hung: "closed", ramping: "closed", observing: "open" };
  const ERROR = "connection refused (os error 111)";
  const OPENED = "open after 5 failures in a row";

  /** The successes, failures and rejections of 100 calls in a condition. */
  const SHARES = { open: [0, 0, 100], "half-open": [3, 2, 95], "forced-open": [0, 0, 100], hung: [80, 20, 0], ramping: [29, 1, 70], observing: [10, 90, 0], disabled: [71, 29, 0], closed: [99, 1, 0] };

  function breaker(name, condition, index, key) {
    const now = fake.now();
    const [successes, failures, rejections] = SHARES[condition];
    const isDown = ["open", "half-open", "observing", "forced-open"].includes(condition);
    const begun = now - 1920 + (index % 12) * 140;
    const since = { open: now - 4, "half-open": now - 2 }[condition] ?? begun;
    const id = key == null ? `breaker ${name}` : `key ${name.length} ${name} ${key}`;
    const row = {
      id, kind: key == null ? "breaker" : "key", name, condition, state: STATES[condition] ?? condition,
      admitted_share: condition === "ramping" ? 0.3 : ["open", "half-open", "forced-open"].includes(condition) ? 0 : 1,
      config: { threshold: { rule: "consecutive_failures", failures: 5 }, recovery_timeout: 30, half_open_max_calls: 3, half_open_successes: 2 },
      successes: successes * 90, failures: failures * 90, rejections: rejections * 90, transitions: condition === "closed" ? 0 : 95,
      last_minute: { seconds: 60, successes, failures, rejections, ignored: 0, cancelled: 0, p99: successes ? 0.29 : null },
      durations: { count: 9000, mean: 0.05, p50: 0.04, p95: 0.12, p99: 0.29, max: 1.2 },
    };
    if (key != null) row.key = key;
    if (condition !== "closed") Object.assign(row, { since, in_flight: 3, oldest_in_flight: condition === "hung" ? 41 : 0.2 });
    if (condition === "hung") row.hung_in_flight = 3;
    if (condition === "observing") Object.assign(row, { observe_only: true, observed_rejections: 8100 });
    if (condition === "open" || condition === "observing") Object.assign(row, { until: now + 26, reason: OPENED, last_failure: ERROR });
    if (condition === "half-open") row.trial_successes = 1;
    if (condition === "forced-open") Object.assign(row, { until: now + 840, operator_reason: "migration until 14:00" });
    if (condition === "disabled") row.operator_reason = "known to be flaky, OPS-311";
    if (isDown) row.outage = { since: begun, reason: condition === "forced-open" ? "forced open by an operator" : OPENED, failed_recoveries: 47, error: condition === "forced-open" ? null : ERROR };
    if (index % 2 === 0) {
      row.callers = { answered: successes * 90, fallback: (failures + rejections) * 80, failed: (failures + rejections) * 10, cancelled: 0 };
      row.last_minute.callers = { answered: successes, fallback: Math.floor((failures + rejections) * 0.9), failed: Math.ceil((failures + rejections) * 0.1), cancelled: 0 };
    }
    return row;
  }

  const states = (keys, open) => ({ keys, max_keys: 10_000, open, half_open: 0, forced_open: 0, disabled: 0, closed: keys - open });
  const minute = { seconds: 60, successes: 900, failures: 7, rejections: 60, ignored: 0, cancelled: 0, p99: 0.61 };
  const durations = { count: 8700, mean: 0.05, p50: 0.03, p95: 0.12, p99: 0.4, max: 1 };

  function group(name, keys, open) {
    const rows = Array.from({ length: Math.min(20, keys) }, (_, index) => breaker(name, index < open ? "open" : "closed", index, `supplier-${String(index).padStart(3, "0")}.example.org`));
    return [{ id: `group ${name}`, kind: "group", name, ...states(keys, open), successes: 8548, failures: 24, rejections: 163, durations, last_minute: minute }, ...rows];
  }

  const OTHERS = [
    { id: "retry charge", kind: "retry", name: "charge", calls: 8735, first_try_successes: 6027, retried_successes: 2620, attempts: 11_600, retries: 2865, exhausted: 60, denied: 12, not_transient: 16, attempt_durations: durations, last_minute: { seconds: 60, calls: 870, retried: 260, failed: 8, attempts: 1160 } },
    { id: "retry nightly export", kind: "retry", name: "nightly export", calls: 2, cancelled: 2, attempts: 2, last_minute: { seconds: 60, calls: 0, retried: 0, failed: 0, attempts: 0 } },
    { id: "rate_limit geocoder", kind: "rate_limit", name: "geocoder", limit: 100, per: 1, in_window: 100, waiting: 4, admitted: 90_210, rejected: 812, last_minute: { seconds: 60, admitted: 6000, rejected: 141 } },
    { id: "rate_limits tenants", kind: "rate_limit_group", name: "tenants", limit: 50, per: 1, keys: 312, max_keys: 10_000, reached: 2, admitted: 190_000, rejected: 533, most_rejected: [{ name: "tenants", key: "acme", limit: 50, per: 1, in_window: 50, waiting: 0, admitted: 10, rejected: 500 }], last_minute: { seconds: 60, admitted: 900, rejected: 3 } },
    { id: "bulkhead database", kind: "bulkhead", name: "database", max_concurrent: 20, in_flight: 20, waiting: 7, max_queue: 50, admitted: 60_000, rejected: 18, last_minute: { seconds: 60, admitted: 1900, rejected: 6 } },
    { id: "bulkheads shards", kind: "bulkhead_group", name: "shards", max_concurrent: 8, keys: 16, max_keys: 100, in_flight: 9, admitted: 7000, most_rejected: [], last_minute: { seconds: 60, admitted: 300, rejected: 0 } },
    { id: "fallback cached prices", kind: "fallback", name: "cached prices", breakers: ["prices"], answered: 9000, fallback: 310, failed: 4, cancelled: 1, last_minute: { seconds: 60, answered: 700, fallback: 40, failed: 1, cancelled: 0 } },
    { id: "timeout shop::search::query", kind: "timeout", name: "shop::search::query", limit: 0.8, timed_out: 29 },
    { id: "budget checkout", kind: "budget", name: "checkout", ratio: 0.2, reserve_per_second: 10, calls: 20_000, withdrawn: 2865, refunded: 3, denied: 12, balance: 41.5 },
  ];

  const SCENARIOS = {
    empty: () => [],
    healthy: () => [...NAMES.map((name, index) => breaker(name, "closed", index)), ...group("suppliers", 140, 0), ...OTHERS],
    outage: () => [...NAMES.map((name, index) => breaker(name, CONDITIONS[index] ?? "closed", index)), ...group("suppliers", 140, 3), ...OTHERS],
    "outage of 1000": () => [
      ...Array.from({ length: 2000 }, (_, index) => breaker(`region-${index % 20}/${NAMES[index % 12].replace(" ", "-")}-${index}`, index < 960 ? "open" : index < 1000 ? CONDITIONS[1 + (index % 6)] : "closed", index)),
      ...group("suppliers", 140, 20), ...OTHERS],
  };

  fake.settings = (row) => [
    { option: "failure_threshold", value: "5", source: "code" },
    { option: "recovery_timeout", value: "30s", source: "file" },
    { option: "hung_call", value: "10s", source: "environment" },
    { option: "observe_only", value: String(Boolean(row.observe_only)), source: "live" },
  ];

  /** The last ten minutes: an outage with a trial call each 40 seconds, or the present condition all the time. */
  function history(row) {
    const now = fake.now();
    const known = now - 595;
    const begun = row.outage?.since ?? row.since;
    const samples = [];
    for (let at = Math.ceil(known / 10) * 10 + 10; at <= now; at += 10) {
      const [successes, failures, rejections] = SHARES[begun && at < begun ? "closed" : row.condition ?? "closed"];
      const share = 0.6 + 0.4 * Math.sin(at / 70);
      samples.push([at, Math.round(successes * share), Math.round(failures * share), Math.round(rejections * share)]);
    }
    const changes = [];
    if (row.outage && row.condition !== "forced-open") {
      if (begun > known) changes.push([begun, "open"]);
      for (let at = Math.max(begun, known) + 37; at < now - 40; at += 40) changes.push([at, "half-open"], [at + 3, "open"]);
      if (row.state === "half-open") changes.push([row.since, "half-open"]);
    } else if (begun > known && row.state !== "closed") {
      changes.push([begun, row.state]);
    }
    return { known_since: known, samples, changes };
  }

  fake.routes["api/history"] = ({ search }) => {
    const rows = fake.rows.filter(({ id }) => search.getAll("id").includes(id));
    return fake.json(200, { now: fake.now(), step: 10, items: Object.fromEntries(rows.map((row) => [row.id, history(row)])) });
  };
  fake.routes["api/item"] = ({ search }) => {
    const row = fake.rows.find(({ id }) => id === search.get("id"));
    if (!row) return fake.json(404, { error: "not found" });
    const recent = [{ at: fake.now() - 60, from: "closed", to: row.state, reason: row.reason }];
    return fake.json(200, { ...row, settings: fake.settings(row), recent: row.outage ? recent : [], history: history(row) });
  };

  /** Makes the rows and events of a scenario the present state. */
  fake.use = (scenario) => {
    fake.rows = SCENARIOS[scenario]().map((row, index) => ({ i: index, ...row }));
    const down = fake.rows.filter((row) => row.outage);
    fake.events = down.slice(0, 40).map((row, index) => ({
      n: index + 1, at: row.outage.since, kind: row.condition === "forced-open" ? "override" : "state", id: row.id, name: row.name, key: row.key ?? null, from: "closed", to: row.state,
      reason: row.operator_reason ?? row.outage.reason, operator: row.condition === "forced-open" ? "maria" : null, action: row.condition === "forced-open" ? "force_open" : null, expires_at: row.until ?? null,
    })).sort((one, other) => one.at - other.at).map((event, index) => ({ ...event, n: index + 1 }));
  };
  fake.breaker = breaker;
})();
