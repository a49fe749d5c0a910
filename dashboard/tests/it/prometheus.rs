//! A real Prometheus scrapes the dashboard during an outage and answers an operator's queries.

use std::{
    fs,
    io::Write,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use steadfast::{Bulkhead, BulkheadConfig, CircuitBreaker, KeyedBreakers, RateLimit, RateLimitConfig, retry};
use steadfast_dashboard::Dashboard;
use tokio::net::TcpSocket;

use crate::{CONFIG, Folder, Running, Served, client, fail, missing, rules::file, succeed};

static SCRAPED: CircuitBreaker = CircuitBreaker::new("scraped", CONFIG);
steadfast::register!(SCRAPED);
static SHARDS: KeyedBreakers = KeyedBreakers::new("scraped shards", CONFIG);
steadfast::register!(SHARDS);

#[retry(name = "scraped retry", max_attempts = 3, backoff = none)]
fn retried(works: bool) -> std::io::Result<()> {
    if works { Ok(()) } else { Err(std::io::ErrorKind::TimedOut.into()) }
}

static RATE: RateLimit = RateLimit::new("scraped rate", RateLimitConfig::new(2, Duration::from_hours(1)));
steadfast::register!(RATE);
static BULKHEAD: Bulkhead = Bulkhead::new("scraped bulkhead", BulkheadConfig::new().max_concurrent(2));
steadfast::register!(BULKHEAD);

/// Checks that `promtool` accepts a scrape, and returns it.
pub(crate) fn check_metrics(served: &Served) -> String {
    let response = client().get(served.url("/metrics")).send().unwrap();
    assert_eq!(response.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let metrics = response.text().unwrap();
    let mut command = Command::new("promtool");
    command.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut promtool = command.spawn().unwrap_or_else(|error| missing("promtool", &error));
    promtool.stdin.take().unwrap().write_all(metrics.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success() && text.is_empty(), "{text}");
    metrics
}

/// A Prometheus that scrapes a dashboard every 250 ms.
struct Prometheus {
    address: String,
    /// Reserves the port: while this socket is bound to it, the system assigns the port to no other process.
    _port: TcpSocket,
    _running: Running,
    _folder: Folder,
}

impl Prometheus {
    fn scraping(served: &Served) -> Self {
        let folder = Folder::new();
        let config = folder.0.join("prometheus.yml");
        let (rules, target) = (file("prometheus/alerts.yml"), served.address);
        fs::write(
            &config,
            format!(
                "global: {{scrape_interval: 250ms, scrape_timeout: 250ms, evaluation_interval: 250ms}}\n\
                 rule_files: ['{rules}']\n\
                 scrape_configs: [{{job_name: shop, static_configs: [{{targets: ['{target}']}}]}}]\n"
            ),
        )
        .unwrap();
        // Prometheus does not report the port that it chose, so it gets one that this socket has bound. Two sockets may be bound to
        // the same address if both set SO_REUSEADDR and only one of them listens.
        let port = TcpSocket::new_v4().unwrap();
        port.set_reuseaddr(true).unwrap();
        port.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = port.local_addr().unwrap().to_string();
        let arguments = [
            format!("--config.file={}", config.display()),
            format!("--storage.tsdb.path={}", folder.0.join("data").display()),
            format!("--web.listen-address={address}"),
        ];
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let running = Running::start("prometheus", &arguments, Stdio::null());
        Self { address, _port: port, _running: running, _folder: folder }
    }

    /// Returns the values of a query, or the error.
    fn query(&self, query: &str) -> Result<Vec<f64>, String> {
        let url = format!("http://{}/api/v1/query", self.address);
        let answer = client().post(url).form(&[("query", query)]).send().map_err(|error| error.to_string())?;
        let answer: Value = answer.json().map_err(|error| error.to_string())?;
        let found = answer["data"]["result"].as_array().ok_or_else(|| answer.to_string())?;
        let number = |sample: &Value| sample["value"][1].as_str().and_then(|text| text.parse().ok());
        Ok(found.iter().filter_map(number).collect())
    }

    /// Waits until a query returns these values.
    fn expect(&self, query: &str, expected: &[f64]) {
        let begun = Instant::now();
        loop {
            let found = self.query(query);
            if found.as_ref().is_ok_and(|values| values == expected) {
                return;
            }
            assert!(begun.elapsed() < Duration::from_secs(30), "{query} returns {found:?} instead of {expected:?}");
            thread::sleep(Duration::from_millis(20));
        }
    }
}

#[test]
fn queries_return_the_right_values_during_an_outage() {
    let served = Served::new(&Dashboard::new());
    let prometheus = Prometheus::scraping(&served);
    // Every series exists, with the value 0, before the first call.
    prometheus.expect("up", &[1.0]);
    prometheus.expect(r#"circuit_breaker_state{service="scraped"}"#, &[0.0]);
    prometheus.expect(r#"circuit_breaker_rejections_total{service="scraped"}"#, &[0.0]);
    prometheus.expect(r#"retry_calls_total{retry="scraped retry",outcome="exhausted"}"#, &[0.0]);
    prometheus.expect(r#"rate_limit_calls_total{limit="scraped rate",outcome="rejected"}"#, &[0.0]);
    prometheus.expect(r#"bulkhead_calls_total{bulkhead="scraped bulkhead",outcome="rejected"}"#, &[0.0]);

    (0..6).for_each(|_| succeed(&SCRAPED));
    (0..10).for_each(|_| fail(&SCRAPED));
    for (shard, calls) in [("a", 5), ("b", 7), ("c", 1)] {
        let breaker = SHARDS.breaker(shard);
        for _ in 0..calls {
            _ = breaker.call(|| Err::<(), _>(std::io::Error::from(std::io::ErrorKind::TimedOut)));
        }
    }
    (0..3).for_each(|_| retried(true).unwrap());
    retried(false).unwrap_err();
    (0..5).for_each(|_| _ = RATE.try_acquire());
    let permits = [BULKHEAD.try_acquire(), BULKHEAD.try_acquire(), BULKHEAD.try_acquire()];
    assert!(permits[2].is_err());

    for (query, expected) in [
        // Open breakers.
        (r#"circuit_breaker_state{service="scraped"} == 1"#, &[1.0][..]),
        (r#"circuit_breaker_failures_total{service="scraped"}"#, &[2.0]),
        (r#"circuit_breaker_rejections_total{service="scraped"}"#, &[8.0]),
        // The share of rejected calls.
        (
            r#"circuit_breaker_rejections_total{service="scraped"} / sum by (service, instance, job) (circuit_breaker_calls_total{service="scraped"})"#,
            &[0.5],
        ),
        // The number of times the breaker opened.
        (r#"circuit_breaker_transitions_total{service="scraped",state="open"}"#, &[1.0]),
        // Open keys, and those with the most rejections.
        (r#"circuit_breaker_keys{service="scraped shards",state="open"}"#, &[2.0]),
        (r#"topk(1, circuit_breaker_key_rejections_total{service="scraped shards"})"#, &[5.0]),
        (r#"circuit_breaker_rejections_total{service="scraped shards"}"#, &[8.0]),
        // The effect of retries.
        (r#"retry_calls_total{retry="scraped retry",outcome="first_try"}"#, &[3.0]),
        (r#"retry_calls_total{retry="scraped retry",outcome="exhausted"}"#, &[1.0]),
        (
            r#"retry_attempts_total{retry="scraped retry"} / ignoring (outcome) sum without (outcome) (retry_calls_total{retry="scraped retry"})"#,
            &[1.5],
        ),
        (r#"retry_delay_seconds_count{retry="scraped retry"}"#, &[2.0]),
        // Utilization and rejections of limits.
        (r#"rate_limit_used{limit="scraped rate"} / rate_limit_max_calls{limit="scraped rate"}"#, &[1.0]),
        (r#"rate_limit_calls_total{limit="scraped rate",outcome="rejected"}"#, &[3.0]),
        (
            r#"bulkhead_in_flight{bulkhead="scraped bulkhead"} / bulkhead_max_concurrent{bulkhead="scraped bulkhead"}"#,
            &[1.0],
        ),
        (r#"bulkhead_calls_total{bulkhead="scraped bulkhead",outcome="rejected"}"#, &[1.0]),
    ] {
        prometheus.expect(query, expected);
    }
    // The alert is pending for the minute of its `for` clause.
    prometheus.expect(r#"count(ALERTS{alertname="CircuitOpen",service="scraped",alertstate="pending"})"#, &[1.0]);

    // The time spent open matches the time since the breaker's last transition, which is measured later by the same clock.
    let open = prometheus.query(r#"circuit_breaker_state_seconds_total{service="scraped",state="open"}"#).unwrap();
    let age = SCRAPED.snapshot().last_transition.unwrap().elapsed().unwrap().as_secs_f64();
    assert!((age - 30.0..=age).contains(&open[0]) && open[0] > 0.0, "{open:?} of {age}");

    SCRAPED.force_open();
    prometheus.expect(r#"circuit_breaker_state{service="scraped"}"#, &[3.0]);
    SCRAPED.reset();
    prometheus.expect(r#"circuit_breaker_state{service="scraped"}"#, &[0.0]);

    // Prometheus accepts each query of the Grafana dashboard.
    let grafana: Value = serde_json::from_str(&fs::read_to_string(file("grafana/steadfast.json")).unwrap()).unwrap();
    for target in grafana["panels"].as_array().unwrap().iter().flat_map(|panel| panel["targets"].as_array().unwrap()) {
        let query = target["expr"].as_str().unwrap();
        let filled = query
            .replace("$__rate_interval", "1m")
            .replace("$__range", "1m")
            .replace("$job", ".*")
            .replace("$service", ".*");
        prometheus.query(&filled).unwrap_or_else(|error| panic!("{query}: {error}"));
    }
}

#[test]
fn a_scrape_with_ten_thousand_keys_is_small() {
    static KEYS: KeyedBreakers = KeyedBreakers::new("ten thousand", CONFIG);
    steadfast::register!(KEYS);
    for key in 0..10_000_u32 {
        let breaker = KEYS.breaker(&format_args!("key-{key}.example.org"));
        _ = breaker
            .call(|| if key % 10 == 0 { Err(std::io::Error::from(std::io::ErrorKind::TimedOut)) } else { Ok(()) });
    }
    let served = Served::new(&Dashboard::new());
    let scrape = || client().get(served.url("/metrics")).send().unwrap().text().unwrap();
    scrape();
    let begun = Instant::now();
    let text = scrape();
    let took = begun.elapsed();
    let of_keys = text.lines().filter(|line| line.contains("ten thousand"));
    let bytes: usize = of_keys.clone().map(|line| line.len() + 1).sum();
    eprintln!("10,000 keys: {} lines, {bytes} bytes, scraped in {took:.2?}", of_keys.clone().count());
    assert!(of_keys.count() < 80 && bytes < 10_000);
    assert!(text.contains(r#"circuit_breaker_calls_total{service="ten thousand",outcome="failure"} 1000"#));
}
