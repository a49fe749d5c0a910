//! A real Prometheus scrapes the dashboard during an outage and answers an operator's queries.

use std::{
    collections::BTreeSet,
    fs,
    io::Write,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use steadfast::{Bulkhead, BulkheadConfig, CircuitBreaker, KeyedBreakers, RateLimit, RateLimitConfig, retry};
use steadfast_dashboard::Dashboard;

use crate::{
    CONFIG, Folder, Served, client, everything::traffic, fail, missing, prometheus_server::Prometheus, rules::promtool,
    succeed, wait_for,
};

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
    // The time spent open matches the time since the breaker's last transition, which is measured later by the same clock.
    let open = prometheus.query(r#"circuit_breaker_state_seconds_total{service="scraped",state="open"}"#).unwrap();
    let age = SCRAPED.snapshot().last_transition.unwrap().elapsed().unwrap().as_secs_f64();
    assert!((age - 30.0..=age).contains(&open[0]) && open[0] > 0.0, "{open:?} of {age}");

    SCRAPED.force_open();
    prometheus.expect(r#"circuit_breaker_state{service="scraped"}"#, &[3.0]);
    SCRAPED.reset();
    prometheus.expect(r#"circuit_breaker_state{service="scraped"}"#, &[0.0]);

    // Only OpenMetrics has units, so Prometheus has read that format.
    let unit = wait_for(|| {
        let metadata = prometheus.api("metadata", &[("metric", "circuit_breaker_outage_seconds")]).ok()?;
        Some(metadata["circuit_breaker_outage_seconds"].get(0)?["unit"].clone())
    });
    assert_eq!(unit, "seconds");
}

/// Returns a scrape in the format of OpenMetrics.
pub(crate) fn open_metrics(served: &Served) -> String {
    let accept = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5";
    let response = client().get(served.url("/metrics")).header("Accept", accept).send().unwrap();
    assert_eq!(response.headers()["content-type"], "application/openmetrics-text; version=1.0.0; charset=utf-8");
    response.text().unwrap()
}

#[test]
fn promtool_accepts_the_metrics_in_the_format_of_open_metrics() {
    traffic();
    let served = Served::new(&Dashboard::new());
    let metrics = open_metrics(&served);
    assert!(metrics.ends_with("\n# EOF\n"));
    // `promtool` reads this format only with the time of each sample.
    let timed: String = metrics
        .lines()
        .map(|line| if line.starts_with('#') { format!("{line}\n") } else { format!("{line} 1700000000\n") })
        .collect();
    let folder = Folder::new();
    let (samples, blocks) = (folder.0.join("metrics"), folder.0.join("blocks"));
    fs::write(&samples, timed).unwrap();
    let paths = [samples.to_str().unwrap(), blocks.to_str().unwrap()];
    promtool(&["tsdb", "create-blocks-from", "openmetrics", paths[0], paths[1]]);
    assert!(fs::read_dir(blocks).unwrap().next().is_some());
    // The same series as in the text format, which `promtool` accepts as well. The formats differ in the order of the labels, and in the
    // bounds of buckets: `1.0` and `1`.
    let names = |text: &str| -> BTreeSet<(String, Vec<String>)> {
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        let series = samples.map(|line| line.rsplit_once(' ').unwrap().0.trim_end_matches("\"}"));
        let parts = series.map(|series| series.split_once('{').unwrap());
        parts
            .map(|(name, labels)| {
                let mut labels: Vec<_> =
                    labels.split("\",").map(|label| label.trim_end_matches(".0").to_owned()).collect();
                labels.sort();
                (name.to_owned(), labels)
            })
            .collect()
    };
    let (open_metrics, text) = (names(&metrics), names(&check_metrics(&served)));
    let different: Vec<_> = open_metrics.symmetric_difference(&text).collect();
    assert!(different.is_empty(), "{different:?}");
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
