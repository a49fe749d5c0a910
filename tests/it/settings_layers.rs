//! The layers of settings: declared in code, from a file, from the environment, and set at run time.

use std::{
    io,
    sync::{Arc, Barrier, Mutex},
    thread,
    time::Duration,
};

use steadfast::{
    BreakerConfig, Bulkhead, BulkheadConfig, BulkheadFull, CircuitBreaker, ConfigLayer, KeyedBreakers, KeyedRateLimits,
    RateLimit, RateLimitConfig, Window, breaker, bulkhead, circuit_breaker, configure_from_file, configure_from_toml,
    configure_from_vars,
    events::{self, Event},
    retry,
};

use crate::settings_sources::lock_layers;

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

macro_rules! declare {
    ($($function:ident($name:literal, $($options:tt)*);)*) => {
        $(#[allow(dead_code, reason = "configured without being called")]
        #[circuit_breaker(name = $name, $($options)*)]
        fn $function() -> Option<()> {
            Some(())
        })*
    };
}

declare! {
    merged("layer_merged", failure_threshold = 3, recovery_timeout = 7s);
    one("layer_one", failure_threshold = 3);
    two("layer_two", failure_threshold = 3);
    api("layer_api", failure_threshold = 3);
    api_failure("layer_api_failure", failure_threshold = 3);
    api_dashed("layer-api-failure-rate", failure_threshold = 3);
    escaped_name("layer_named\n\u{1b}[31m", failure_threshold = 3);
}

static HOSTS: KeyedBreakers = KeyedBreakers::new("layer_hosts", BreakerConfig::new());
steadfast::register!(HOSTS);
static SEARCH: RateLimit = RateLimit::new("layer_search", RateLimitConfig::new(5, seconds(1)));
steadfast::register!(SEARCH);
static TENANTS: KeyedRateLimits = KeyedRateLimits::new("layer_tenants", RateLimitConfig::new(5, seconds(1)));
steadfast::register!(TENANTS);
static POOL: Bulkhead = Bulkhead::new("layer_bulkhead", BulkheadConfig::new());
steadfast::register!(POOL);

#[allow(dead_code, reason = "only declared")]
#[bulkhead(name = "layer_other_bulkhead", max_concurrent = 3)]
fn bounded() -> Result<(), BulkheadFull> {
    Ok(())
}

#[retry(name = "layer_retry", max_attempts = 2, backoff = none)]
fn retried(calls: &mut u32) -> io::Result<()> {
    *calls += 1;
    Err(io::ErrorKind::TimedOut.into())
}

fn attempts() -> u32 {
    let mut calls = 0;
    retried(&mut calls).unwrap_err();
    calls
}

fn find(name: &str) -> &'static CircuitBreaker {
    breaker(name).unwrap()
}

fn vars(variables: &[(&str, &str)]) -> Result<(), steadfast::ConfigError> {
    configure_from_vars(variables.iter().map(|(name, value)| (format!("STEADFAST_{name}"), (*value).to_owned())))
}

const DECLARED: BreakerConfig = BreakerConfig::new().failure_threshold(3).recovery_timeout(seconds(7));

#[test]
fn each_option_comes_from_the_highest_layer_that_sets_it() {
    let _lock = lock_layers();
    let config = || find("layer_merged").config();
    configure_from_toml("[breaker.layer_merged]\nfailure_threshold = 10\nhalf_open_max_calls = 1").unwrap();
    vars(&[("BREAKER_LAYER_MERGED_FAILURE_THRESHOLD", "20")]).unwrap();
    assert_eq!(config(), DECLARED.failure_threshold(20).half_open_max_calls(1));
    configure_from_toml("[breaker.layer_merged]\nfailure_threshold = 11\nramp_up = \"5s\"").unwrap();
    assert_eq!(
        config(),
        DECLARED.failure_threshold(20).ramp_up(seconds(5)),
        "the environment takes precedence even if the file is applied later"
    );
    vars(&[("BREAKER_LAYER_MERGED_HALF_OPEN_MAX_CALLS", "9")]).unwrap();
    assert_eq!(config(), DECLARED.failure_threshold(11).ramp_up(seconds(5)).half_open_max_calls(9));
    vars(&[]).unwrap();
    assert_eq!(config(), DECLARED.failure_threshold(11).ramp_up(seconds(5)));
    configure_from_toml("").unwrap();
    assert_eq!(config(), DECLARED);
}

#[test]
fn a_removed_table_restores_the_declared_settings_of_every_kind() {
    let _lock = lock_layers();
    let all = || {
        let limits = (SEARCH.config().unwrap().get_limit(), TENANTS.config().unwrap().get_limit());
        let bulkheads = (POOL.config(), bulkhead("layer_other_bulkhead").unwrap().config());
        (find("layer_one").config(), HOSTS.config(), limits, bulkheads, attempts())
    };
    let declared = all();
    configure_from_toml(
        "[breaker.layer_one]\nfailure_threshold = 9\n[breaker.layer_hosts]\nfailure_threshold = 9\n\
         [rate_limit.layer_search]\nlimit = 9\n[rate_limit.layer_tenants]\nlimit = 9\n\
         [bulkhead.layer_bulkhead]\nmax_concurrent = 9\n[bulkhead.layer_other_bulkhead]\nmax_concurrent = 9\n\
         [retry.layer_retry]\nmax_attempts = 9\n",
    )
    .unwrap();
    let nine = BulkheadConfig::new().max_concurrent(9);
    let breakers = [BreakerConfig::new().failure_threshold(9); 2];
    assert_eq!(all(), (breakers[0], breakers[1], (9, 9), (nine, nine), 9));
    configure_from_toml("[breaker.layer_two]\nfailure_threshold = 9").unwrap();
    assert_eq!(all(), declared);
}

#[test]
fn live_settings_hold_until_they_are_reset() {
    let _lock = lock_layers();
    let (breaker, live) = (find("layer_one"), BreakerConfig::new().failure_threshold(77));
    breaker.reconfigure(live);
    HOSTS.reconfigure(live);
    SEARCH.reconfigure(RateLimitConfig::new(77, seconds(1)));
    TENANTS.reconfigure(RateLimitConfig::new(77, seconds(1)));
    POOL.reconfigure(BulkheadConfig::new().max_concurrent(77));
    configure_from_toml(
        "[breaker.layer_one]\nfailure_threshold = 9\n[breaker.layer_hosts]\nfailure_threshold = 9\n\
         [rate_limit.layer_search]\nlimit = 9\n[rate_limit.layer_tenants]\nlimit = 9\n\
         [bulkhead.layer_bulkhead]\nmax_concurrent = 9\n",
    )
    .unwrap();
    let numbers = || {
        let limits = [SEARCH.config(), TENANTS.config()].map(|config| config.unwrap().get_limit());
        (breaker.config() == HOSTS.config(), breaker.config(), limits, POOL.config())
    };
    assert_eq!(numbers(), (true, live, [77, 77], BulkheadConfig::new().max_concurrent(77)));
    breaker.reset_config();
    HOSTS.reset_config();
    SEARCH.reset_config();
    TENANTS.reset_config();
    POOL.reset_config();
    let nine = BreakerConfig::new().failure_threshold(9);
    assert_eq!(
        numbers(),
        (true, nine, [9, 9], BulkheadConfig::new().max_concurrent(9)),
        "the file's layer applies again"
    );
    assert_eq!(POOL.snapshot().max_concurrent, 9);
}

#[test]
fn an_option_overridden_by_a_higher_layer_is_not_an_issue() {
    let _lock = lock_layers();
    configure_from_toml("[breaker.layer_merged]\nwindow = \"calls(100)\"\nfailure_rate = 0.2\nmin_calls = 50").unwrap();
    vars(&[("BREAKER_LAYER_MERGED_WINDOW", "none")]).unwrap();
    assert!(find("layer_merged").config().to_string().starts_with("failure_threshold = 3,"));
    vars(&[("BREAKER_LAYER_MERGED_WINDOW", "calls(20)")]).unwrap();
    vars(&[("BREAKER_LAYER_MERGED_PRESET", "critical")]).unwrap();
    assert_eq!(find("layer_merged").config(), BreakerConfig::critical());
}

#[test]
fn a_layer_that_conflicts_with_another_is_not_applied() {
    let _lock = lock_layers();
    let windowed = DECLARED.window(Window::calls(100)).failure_rate(0.9);
    configure_from_toml("[breaker.layer_merged]\nwindow = \"calls(100)\"").unwrap();
    vars(&[("BREAKER_LAYER_MERGED_FAILURE_RATE", "0.9")]).unwrap();
    assert_eq!(find("layer_merged").config(), windowed);
    let error = configure_from_toml("[breaker.layer_one]\nfailure_threshold = 8").unwrap_err();
    assert!(
        error.to_string().starts_with("STEADFAST_BREAKER_LAYER_MERGED_FAILURE_RATE: needs a window"),
        "the issue names the option that caused it: {error}"
    );
    assert_eq!(
        (find("layer_merged").config(), find("layer_one").config().failures()),
        (windowed, 3),
        "nothing changed"
    );
    // The file's layer was not replaced either.
    vars(&[]).unwrap();
    assert_eq!(find("layer_merged").config(), DECLARED.window(Window::calls(100)));
}

trait Failures {
    fn failures(&self) -> u32;
}

impl Failures for BreakerConfig {
    fn failures(&self) -> u32 {
        let text = self.to_string();
        text.strip_prefix("failure_threshold = ").and_then(|rest| rest.split(',').next()).unwrap().parse().unwrap()
    }
}

#[test]
fn texts_applied_at_the_same_time_do_not_mix() {
    let _lock = lock_layers();
    let start = Barrier::new(2);
    let reload = |number: u32| {
        let text = format!(
            "[breaker.layer_one]\nfailure_threshold = {number}\n[breaker.layer_two]\nfailure_threshold = {number}\n\
             [bulkhead.layer_bulkhead]\nmax_concurrent = {number}\n[retry.layer_retry]\nmax_attempts = {number}\n\
             [rate_limit.layer_search]\nlimit = {number}\n"
        );
        start.wait();
        configure_from_toml(&text).unwrap();
    };
    for _ in 0..500 {
        thread::scope(|scope| {
            scope.spawn(|| reload(4));
            reload(5);
        });
        let one = find("layer_one").config().failures();
        let limits = (SEARCH.config().unwrap().get_limit(), POOL.snapshot().max_concurrent);
        assert_eq!((find("layer_two").config().failures(), attempts(), limits), (one, one, (one, one)));
    }
}

#[test]
fn names_that_are_prefixes_of_each_other_work_in_the_environment() {
    let _lock = lock_layers();
    let thresholds = || ["layer_api", "layer_api_failure"].map(|name| find(name).config().failures());
    vars(&[("BREAKER_LAYER_API_FAILURE_THRESHOLD", "5")]).unwrap();
    assert_eq!(thresholds(), [5, 3]);
    vars(&[("BREAKER_LAYER_API_FAILURE_FAILURE_THRESHOLD", "6")]).unwrap();
    assert_eq!(thresholds(), [3, 6]);
    vars(&[
        ("BREAKER_LAYER_API_FAILURE_THRESHOLD", "5"),
        ("BREAKER_LAYER_API_FAILURE_FAILURE_THRESHOLD", "6"),
        ("BREAKER_LAYER_API_FAILURE_RATE_FAILURE_THRESHOLD", "7"),
    ])
    .unwrap();
    assert_eq!((thresholds(), find("layer-api-failure-rate").config().failures()), ([5, 6], 7));
    for (variable, expected) in [
        // An unknown option of `layer_api`, not `treshold` of `layer_api_failure`.
        ("LAYER_API_FAILURE_TRESHOLD", "unknown option, did you mean `failure_threshold`?"),
        ("LAYER_API_FAILURE_RAMP", "unknown option, did you mean `failure_rate`?"),
        ("LAYER_API_FAILURE", "unknown option, did you mean `failure_threshold`? there are "),
    ] {
        let variable = format!("BREAKER_{variable}");
        let error = vars(&[(&variable, "5")]).unwrap_err().to_string();
        assert!(error.starts_with(&format!("STEADFAST_{variable}: {expected}")), "{error}");
    }
}

#[test]
fn applying_a_layer_emits_an_event() {
    let _lock = lock_layers();
    let applied = Arc::new(Mutex::new(Vec::new()));
    let _subscription = events::subscribe({
        let applied = applied.clone();
        move |event| {
            if let Event::ConfigApplied { layer, changes, .. } = event
                && changes.iter().any(|change| change.name.starts_with("layer_named"))
            {
                applied.lock().unwrap().push((*layer, event.to_string()));
            }
        }
    });
    let breaker = find("layer_named\n\u{1b}[31m");
    configure_from_toml("[breaker.\"layer_named\\n\\u001b[31m\"]\nfailure_threshold = 9").unwrap();
    breaker.reconfigure(BreakerConfig::new().failure_threshold(8));
    breaker.reset_config();
    configure_from_toml("").unwrap();
    crate::support::wait_until(|| applied.lock().unwrap().len() == 4);
    let rest = "recovery_timeout = 30s, half_open_max_calls = 3";
    let expected = [(ConfigLayer::File, 9), (ConfigLayer::Live, 8), (ConfigLayer::Live, 9), (ConfigLayer::File, 3)]
        .map(|(layer, threshold)| {
            let name = r"layer_named\n\u{1b}[31m";
            (layer, format!("settings applied ({layer}): breaker.{name}: failure_threshold = {threshold}, {rest}"))
        });
    assert_eq!(*applied.lock().unwrap(), expected);
}

#[test]
fn a_subscriber_can_apply_settings() {
    let _lock = lock_layers();
    let _subscription = events::subscribe(|event| {
        if let Event::ConfigApplied { layer: ConfigLayer::File, changes, .. } = event
            && changes.iter().any(|change| change.name == "layer_one")
        {
            vars(&[("BREAKER_LAYER_TWO_FAILURE_THRESHOLD", "42")]).unwrap();
        }
    });
    configure_from_toml("[breaker.layer_one]\nfailure_threshold = 41").unwrap();
    crate::support::wait_until(|| find("layer_two").config().failures() == 42);
}

#[test]
fn repeated_reloads_apply_the_last_settings() {
    let _lock = lock_layers();
    for round in 0..2_000 {
        configure_from_toml(&format!("[retry.layer_retry]\nmax_attempts = {}", 3 + round % 2)).unwrap();
    }
    assert_eq!(attempts(), 4);
}

#[test]
fn error_texts_are_bounded() {
    let _lock = lock_layers();
    let long = "k".repeat(256 << 10);
    for text in [
        format!("[breaker.{long}]\nfailure_threshold = 1"),
        format!("[{long}]"),
        format!("[breaker.layer_one]\n{long} = 1"),
        format!("[breaker.layer_one]\nramp_up = \"{long}\""),
        format!("[breaker.layer_one]\nramp_up = \"{long}ms"),
        format!("{long} = "),
    ] {
        let error = configure_from_toml(&text).unwrap_err();
        assert!(error.to_string().len() < 3_000, "{} bytes", error.to_string().len());
    }
    let variable = format!("STEADFAST_BREAKER_{}", long.to_uppercase());
    assert!(configure_from_vars([(variable, long.clone())]).unwrap_err().to_string().len() < 3_000);
    let numbered =
        |text: &str| (0..20_000).map(|number| text.replace('#', &number.to_string())).collect::<Vec<_>>().concat();
    let tables = numbered("[breaker.unknown_#]\nramp_up = \"1s\"\n");
    let error = configure_from_toml(&tables).unwrap_err();
    assert_eq!(error.issues().len(), 100);
    assert_eq!(error.to_string().lines().last(), Some("only the first 100 issues are listed"));
    let options = numbered("option_# = 1\n");
    assert_eq!(configure_from_toml(&format!("[breaker.layer_one]\n{options}")).unwrap_err().issues().len(), 100);
}

#[test]
fn error_texts_are_escaped() {
    let _lock = lock_layers();
    let error = configure_from_toml("[breaker.\"a\\n\\u001b[2Jb\"]\nfailure_threshold = 1").unwrap_err().to_string();
    assert!(error.contains(r"breaker.a\n\u{1b}[2Jb: unknown breaker"), "{error}");
    assert_eq!(error.lines().count(), 1);
    let error = configure_from_toml("[breaker.layer_one]\nramp_up = \"1\\r\\n2\"").unwrap_err().to_string();
    assert!(error.contains(r"1\r\n2") && error.lines().count() == 1, "{error}");
}

#[test]
fn settings_have_the_limits_of_the_attributes() {
    let _lock = lock_layers();
    for (text, expected) in [
        ("[retry.layer_retry]\nmax_elapsed = \"0s\"", "`max_elapsed` must be longer than 0"),
        ("[retry.layer_retry]\nmax_attempts = 0", "`max_attempts` must be at least 1"),
        ("[retry.layer_retry]\nbackoff = \"none\"\njitter = \"full\"", "jitter: has no effect with this backoff"),
        (
            "[retry.layer_retry]\nbackoff = \"decorrelated\"\njitter = \"equal\"",
            "jitter: has no effect with this backoff",
        ),
        ("[retry.layer_retry]\nbackoff = \"exponential(factor = 0.5)\"", "`factor` must be"),
        ("[retry.layer_retry]\nbackoff = \"fixed(1s, 2s)\"", "write it as `fixed(1s)`"),
        ("[breaker.layer_one]\nwindow = \"time(999us)\"", "at least a millisecond"),
        ("[breaker.layer_one]\nwindow = \"calls(1048577)\"", "at most 1048576"),
        ("[breaker.layer_one]\nwindow = \"calls(10)\"\nslow_call = \"0s\"", "`slow_call` must be longer than zero"),
        ("[breaker.layer_one]\nrecovery_jitter = 1.1", "must be in 0.0..=1.0"),
        ("[breaker.layer_one]\nhalf_open_max_calls = 0", "must be at least 1"),
        ("[rate_limit.layer_search]\nper = \"0ms\"", "`per` must be longer than 0"),
        ("[bulkhead.layer_bulkhead]\nmax_wait = \"0us\"", "`max_wait` must be longer than 0"),
    ] {
        let error = configure_from_toml(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
    configure_from_toml("[retry.layer_retry]\nbackoff = \"none\"\njitter = \"none\"").unwrap();
}

#[test]
fn a_cause_is_printed_once() {
    let _lock = lock_layers();
    let error = configure_from_file("/nowhere/at/all.toml").unwrap_err();
    assert!(error.to_string().starts_with("/nowhere/at/all.toml: cannot be read: "), "{error}");
    let cause = std::error::Error::source(&error).unwrap().to_string();
    let chain = format!("{error}: {cause}");
    assert_eq!(chain.matches(&cause).count(), 1, "{chain}");
}

static RAISED: RateLimit = RateLimit::new("layer_raised", RateLimitConfig::new(1, seconds(60)).max_wait(seconds(600)));
steadfast::register!(RAISED);
static RAISED_KEYS: KeyedRateLimits =
    KeyedRateLimits::new("layer_raised_keys", RateLimitConfig::new(1, seconds(60)).max_wait(seconds(600)));
steadfast::register!(RAISED_KEYS);
static WIDENED: Bulkhead =
    Bulkhead::new("layer_widened", BulkheadConfig::new().max_concurrent(1).max_wait(seconds(600)));
steadfast::register!(WIDENED);

#[allow(clippy::await_holding_lock, reason = "the runtime has no other task")]
#[tokio::test(start_paused = true)]
async fn raised_limits_serve_waiting_calls_at_once() {
    let _lock = lock_layers();
    let of_key = RAISED_KEYS.limit("a");
    RAISED.acquire_async().await.unwrap();
    of_key.acquire_async().await.unwrap();
    let _held = WIDENED.acquire_async().await.unwrap();
    let waiting = [
        tokio::spawn(async { RAISED.acquire_async().await.map_err(drop) }),
        tokio::spawn(async move { of_key.acquire_async().await.map_err(drop) }),
        tokio::spawn(async { WIDENED.acquire_async().await.map(drop).map_err(drop) }),
    ];
    let waits = || (RAISED.snapshot().waiting, RAISED_KEYS.limit("a").snapshot().waiting, WIDENED.waiting());
    while waits() != (1, 1, 1) {
        tokio::task::yield_now().await;
    }
    let start = tokio::time::Instant::now();
    configure_from_toml(
        "[rate_limit.layer_raised]\nlimit = 10\n[rate_limit.layer_raised_keys]\nlimit = 10\n\
         [bulkhead.layer_widened]\nmax_concurrent = 2\n",
    )
    .unwrap();
    for served in waiting {
        served.await.unwrap().unwrap();
    }
    assert_eq!(start.elapsed(), Duration::ZERO);
}
