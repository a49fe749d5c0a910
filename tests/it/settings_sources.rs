//! Settings from TOML text, a file and environment variables.

use std::{
    cell::Cell,
    error::Error as _,
    fs, io, process,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use proptest::prelude::*;
use steadfast::{
    Algorithm, BulkheadConfig, BulkheadFull, KeyedBulkheads, KeyedRateLimits, RateLimitConfig, RateLimited,
};
use steadfast::{
    BreakerConfig,
    BreakerState::{Closed, Open},
    CircuitBreaker, Window, breaker, bulkhead, circuit_breaker, configure_from_file, configure_from_toml,
    configure_from_vars, keyed_breakers, rate_limit, retry,
};

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

macro_rules! declare {
    ($($function:ident($($options:tt)*);)*) => {
        $(#[allow(dead_code, reason = "configured without being called")]
        #[circuit_breaker(name = stringify!($function), $($options)*)]
        fn $function(result: io::Result<()>) -> io::Result<()> {
            result
        })*
    };
}

// One breaker for each test, since one call configures all policies of the program.
declare! {
    outside_all();
    outside_live(failure_threshold = 3);
    outside_removed(failure_threshold = 3, recovery_timeout = 7s);
    outside_window(window = calls(20), failure_rate = 0.2);
    outside_preset(ramp_up = 5s);
    outside_unchanged(failure_threshold = 3);
    outside_vars(failure_threshold = 3);
    outside_vars_longer();
    outside_hosts(key = 1, failure_threshold = 3);
    outside_file();
    outside_random(failure_threshold = 3);
}

#[retry(name = "outside_retry", max_attempts = 1)]
async fn retried(calls: &Cell<u32>) -> io::Result<()> {
    calls.set(calls.get() + 1);
    failure()
}

#[allow(
    clippy::needless_pass_by_value,
    reason = "an argument that the body moves is cloned for each attempt but the last"
)]
#[retry(name = "outside_retry", max_attempts = 2, backoff = none)]
fn also_retried(calls: &Cell<u32>, text: String) -> io::Result<()> {
    calls.set(calls.get() + 1);
    drop(text);
    failure()
}

#[allow(dead_code, reason = "listed without being called")]
#[retry(name = "outside_retry_only")]
fn never_called() -> Option<()> {
    None
}

mod ambiguous {
    use steadfast::circuit_breaker;

    #[allow(dead_code, reason = "configured without being called")]
    #[circuit_breaker(name = "outside-same")]
    fn dashed() -> Option<()> {
        None
    }

    #[allow(dead_code, reason = "configured without being called")]
    #[circuit_breaker(name = "outside same")]
    fn spaced() -> Option<()> {
        None
    }
}

/// Blocks other tests that apply settings until the guard is dropped, and clears the file and environment layers.
pub(crate) fn lock_layers() -> MutexGuard<'static, ()> {
    static LAYERS: Mutex<()> = Mutex::new(());
    let guard = LAYERS.lock().unwrap_or_else(PoisonError::into_inner);
    configure_from_vars([]).unwrap();
    configure_from_toml("").unwrap();
    guard
}

fn find(name: &str) -> &'static CircuitBreaker {
    breaker(name).unwrap()
}

fn failure() -> io::Result<()> {
    Err(io::ErrorKind::TimedOut.into())
}

#[test]
fn every_option_can_be_set() {
    let _lock = lock_layers();
    for (settings, expected) in [
        (
            "failure_threshold = 1_0\nrecovery_timeout = \"1.5m\"\nhalf_open_max_calls = 1\nramp_up = \"30s\"",
            BreakerConfig::new()
                .failure_threshold(10)
                .recovery_timeout(seconds(90))
                .half_open_max_calls(1)
                .ramp_up(seconds(30)),
        ),
        (
            "window = \"calls(50)\"\nfailure_rate = 0.2\nmin_calls = 20\nslow_call = \"2s\"\nslow_call_rate = 1",
            BreakerConfig::new()
                .window(Window::calls(50))
                .failure_rate(0.2)
                .min_calls(20)
                .slow_call(seconds(2))
                .slow_call_rate(1.0),
        ),
        (
            "recovery_timeout = \"exponential(base = 1s, factor = 1.5, max = 1m)\"\nrecovery_jitter = 0.1\n\
             observe_only = true",
            BreakerConfig::new()
                .exponential_recovery(seconds(1), 1.5, seconds(60))
                .recovery_jitter(0.1)
                .observe_only(true),
        ),
        ("window = \"time(60s)\"", BreakerConfig::new().window(Window::time(seconds(60)))),
        (
            "recovery_timeout = \"exponential()\"",
            BreakerConfig::new().exponential_recovery(seconds(30), 2.0, seconds(300)),
        ),
        ("recovery_timeout = \"2s\"\npreset = \"critical\"", BreakerConfig::critical().recovery_timeout(seconds(2))),
        ("preset = \"database\"\nwindow = \"calls(10)\"", BreakerConfig::database().window(Window::calls(10))),
        (
            "failure_threshold = 5\nwindow = \"calls(10)\"\nhalf_open_max_calls = 5\nhalf_open_successes = 2",
            BreakerConfig::new()
                .window(Window::calls(10))
                .failure_threshold(5)
                .half_open_max_calls(5)
                .half_open_successes(2),
        ),
        ("failure_threshold = \"none\"\nwindow = \"calls(10)\"", BreakerConfig::new().window(Window::calls(10))),
    ] {
        configure_from_toml(&format!("[breaker.outside_all]\n{settings}")).unwrap();
        assert_eq!(find("outside_all").config(), expected, "{settings}");
    }
}

#[test]
fn new_settings_keep_the_counts() {
    let _lock = lock_layers();
    outside_live(failure()).unwrap_err();
    outside_live(failure()).unwrap_err();
    configure_from_toml("[breaker.outside_live]\nfailure_threshold = 4").unwrap();
    for expected in [Closed, Open] {
        assert_eq!(find("outside_live").snapshot().state, Closed);
        outside_live(failure()).unwrap_err();
        assert_eq!(find("outside_live").state(), expected);
    }
}

#[test]
fn omitted_options_are_as_declared() {
    let _lock = lock_layers();
    let declared = find("outside_removed").config();
    configure_from_toml("[breaker.outside_removed]\nfailure_threshold = 10\nhalf_open_max_calls = 1").unwrap();
    assert_eq!(find("outside_removed").config(), declared.failure_threshold(10).half_open_max_calls(1));
    configure_from_toml("[breaker.outside_removed]\nhalf_open_max_calls = 2").unwrap();
    assert_eq!(find("outside_removed").config(), declared.half_open_max_calls(2));
    configure_from_toml("# no table").unwrap();
    assert_eq!(find("outside_removed").config(), declared, "without a table the declared settings apply");
    configure_from_toml("[breaker.outside_removed]\nhalf_open_max_calls = 2").unwrap();
    configure_from_toml("[breaker.outside_removed]").unwrap();
    assert_eq!(find("outside_removed").config(), declared);

    let declared = find("outside_window").config();
    configure_from_toml("[breaker.outside_window]\nwindow = \"none\"\nfailure_threshold = 2").unwrap();
    assert!(find("outside_window").config().to_string().starts_with("failure_threshold = 2,"));
    configure_from_toml("[breaker.outside_window]\nmin_calls = 4").unwrap();
    assert_eq!(find("outside_window").config(), declared.min_calls(4));
    // A threshold in the code remains beside a window in the file, unless the file removes it.
    let declared = find("outside_removed").config();
    configure_from_toml("[breaker.outside_removed]\nwindow = \"calls(20)\"").unwrap();
    assert_eq!(find("outside_removed").config(), declared.window(Window::calls(20)));
    assert_eq!(find("outside_removed").config().get_failure_threshold(), Some(3));
    configure_from_toml("[breaker.outside_removed]\nwindow = \"calls(20)\"\nfailure_threshold = \"none\"").unwrap();
    assert_eq!(find("outside_removed").config().get_failure_threshold(), None);
    configure_from_toml("[breaker.outside_preset]\npreset = \"flaky_api\"").unwrap();
    assert_eq!(find("outside_preset").config(), BreakerConfig::flaky_api(), "a preset replaces all options");
}

#[test]
fn an_issue_names_the_place_and_the_remedy() {
    let _lock = lock_layers();
    let before = find("outside_unchanged").config();
    for (setting, expected) in [
        (
            "failure_treshold = 5",
            "failure_treshold: unknown option, did you mean `failure_threshold`? there are `preset`, `failure_threshold`, `window`, `failure_rate`, `min_calls`, `slow_call`, `slow_call_rate`, `recovery_timeout`, `recovery_jitter`, `half_open_max_calls`, `half_open_successes`, `ramp_up`, `observe_only`, `hung_call`, `cancelled_call`, `durations`",
        ),
        (
            "failure_threshold = 0",
            "failure_threshold: `0` is out of range: `failure_threshold` must be at least 1: with 0 the circuit would open before any call",
        ),
        ("failure_threshold = -1", "failure_threshold: `-1` is not a whole number, such as `10`"),
        ("failure_threshold = 99999999999", "failure_threshold: `99999999999` is not a whole number, such as `10`"),
        ("failure_threshold = [1]", "failure_threshold: must be a number, `true`, `false`, or a quoted string"),
        ("failure_rate = 0.5", "failure_rate: needs a window: `window = \"calls(100)\"` or `window = \"time(60s)\"`"),
        (
            "window = \"calls(100)\"\nfailure_rate = 50",
            "failure_rate: `50` is out of range: `failure_rate` must be above 0.0 and at most 1.0; 0.5 is half of the calls",
        ),
        ("window = \"calls(100)\"\nfailure_rate = nan", "failure_rate: `nan` is not a number, such as `0.5`"),
        ("window = \"calls(5)\"\nmin_calls = 6", "min_calls: must be at most 5, the number of calls in the window"),
        (
            "failure_threshold = \"none\"",
            "failure_threshold: needs a window: without one, the failure threshold alone opens the circuit",
        ),
        (
            "half_open_max_calls = 2\nhalf_open_successes = 3",
            "half_open_successes: must be at most 2, the number of trial calls (`half_open_max_calls`)",
        ),
        (
            "half_open_successes = 0",
            "half_open_successes: `0` is out of range: `half_open_successes` must be at least 1: with 0 the circuit would close without evidence",
        ),
        (
            "window = \"calls(100)\"\nslow_call_rate = 0.5",
            "slow_call_rate: needs a definition of slow calls: `slow_call = \"2s\"`",
        ),
        (
            "window = 100\nfailure_rate = 0.5",
            "window: `100` is not a window: write `calls(100)`, `time(60s)` or `none`",
        ),
        ("window = \"calls(0)\"", "window: `calls(0)` is out of range: a window must hold at least 1 call"),
        ("window = \"time(60)\"", "window: a duration needs a unit: `60ms`, `60s`, `60m` or `60h`"),
        ("recovery_timeout = 30", "recovery_timeout: a duration needs a unit: `30ms`, `30s`, `30m` or `30h`"),
        (
            "recovery_timeout = \"soon\"",
            "recovery_timeout: `soon` is not a duration, such as `100ms`, `2s`, `1.5m` or `1h`",
        ),
        (
            "recovery_timeout = \"0s\"",
            "recovery_timeout: `0s` is out of range: `recovery_timeout` must be longer than zero: the circuit would never stay open",
        ),
        (
            "recovery_timeout = \"linear(base = 1s)\"",
            "recovery_timeout: `linear(base = 1s)` is not a recovery timeout: write `30s` or `exponential(base = 30s, factor = 2, max = 5m)`",
        ),
        (
            "recovery_timeout = \"exponential(bas = 1s)\"",
            "recovery_timeout: write it as `exponential(base = 30s, factor = 2, max = 5m)`",
        ),
        (
            "recovery_timeout = \"exponential(base = 2s, max = 1s)\"",
            "recovery_timeout: `exponential(base = 2s, max = 1s)` is out of range: `max` must not be below `base`",
        ),
        (
            "half_open_max_calls = 256",
            "half_open_max_calls: `256` is out of range: `half_open_max_calls` must be at most 255: more calls would be load, not trial calls",
        ),
        ("observe_only = \"yes\"", "observe_only: `yes` is not `true` or `false`"),
        (
            "preset = \"critcal\"",
            "preset: unknown preset, did you mean `critical`? there are `critical`, `non_critical`, `flaky_api`, `database`",
        ),
        (
            "recovery_timeout = \"a text that is much, much longer than anybody would want to read in a log\"",
            "recovery_timeout: `a text that is much, much longer than anybody would want to ...` is not a duration, such as `100ms`, `2s`, `1.5m` or `1h`",
        ),
    ] {
        let text = format!("[breaker.outside_unchanged]\n# a comment\n{setting}");
        let error = configure_from_toml(&text).unwrap_err();
        let line = text.lines().position(|line| line.starts_with(expected.split(':').next().unwrap())).unwrap() + 1;
        assert_eq!(error.to_string(), format!("line {line}, column 1: breaker.outside_unchanged.{expected}"));
        assert_eq!(find("outside_unchanged").config(), before, "{setting}");
    }
}

#[test]
fn all_issues_are_reported_and_nothing_is_applied() {
    let _lock = lock_layers();
    let before = find("outside_unchanged").config();
    let error = configure_from_toml(
        "[breaker.outside_unchanged]\nfailure_threshold = 7\nrecovery_timeout = 5\n  ramp_up = \"x\"\n\n\
         [braker.a]\nx = 1\n[breaker.outside_unchaned]\nfailure_threshold = 1\n",
    )
    .unwrap_err();
    let lines: Vec<_> = error.issues().iter().map(|issue| (issue.place.as_str(), issue.key.as_str())).collect();
    assert_eq!(
        lines,
        [
            ("line 3, column 1", "breaker.outside_unchanged.recovery_timeout"),
            ("line 4, column 3", "breaker.outside_unchanged.ramp_up"),
            ("line 6, column 2", "braker"),
            ("line 8, column 10", "breaker.outside_unchaned"),
        ]
    );
    assert!(error.to_string().contains("unknown breaker, did you mean `outside_unchanged`? there are "), "{error}");
    assert_eq!(find("outside_unchanged").config(), before);
    let error = configure_from_toml("[breaker.outside_unchanged]\nfailure_threshold = \nramp_up = \"1s\"").unwrap_err();
    assert!(error.to_string().starts_with("line 2, column "), "{error}");
    assert_eq!(find("outside_unchanged").config(), before);
}

#[allow(clippy::await_holding_lock, reason = "the runtime has no other task")]
#[tokio::test(start_paused = true)]
async fn retries_are_configured_by_name() {
    let _lock = lock_layers();
    let calls = Cell::new(0);
    let count = async || {
        calls.set(0);
        let start = tokio::time::Instant::now();
        retried(&calls).await.unwrap_err();
        (calls.get(), start.elapsed())
    };
    let count_other = || {
        calls.set(0);
        also_retried(&calls, "moved".to_owned()).unwrap_err();
        calls.get()
    };
    assert_eq!((count().await, count_other()), ((1, Duration::ZERO), 2));
    configure_from_toml("[retry.outside_retry]\nbackoff = \"fixed(1s)\"\njitter = \"none\"").unwrap();
    assert_eq!(count().await, (1, Duration::ZERO), "max_attempts is as declared");
    configure_from_toml(
        "[retry.outside_retry]\nmax_attempts = 4\nbackoff = \"linear(base = 1s, step = 2s)\"\njitter = \"none\"",
    )
    .unwrap();
    assert_eq!(count().await, (4, seconds(1 + 3 + 5)));
    vars(&[("STEADFAST_RETRY_OUTSIDE_RETRY_MAX_ATTEMPTS", "3"), ("STEADFAST_RETRY_OUTSIDE_RETRY_BACKOFF", "none")])
        .unwrap();
    assert_eq!((count().await, count_other()), ((3, Duration::ZERO), 3));
    vars(&[]).unwrap();
    assert_eq!(count().await, (4, seconds(1 + 3 + 5)), "the file's layer remains");
    let unlimited = "[retry.outside_retry]\nmax_attempts = \"unlimited\"\nbackoff = \"fixed(1s)\"\njitter = \"none\"\n";
    configure_from_toml(&format!("{unlimited}max_elapsed = \"10s\"")).unwrap();
    assert_eq!(count().await, (11, seconds(10)));
    for (text, expected) in [
        (
            unlimited,
            "line 2, column 1: retry.outside_retry.max_attempts: `unlimited` would retry forever: add a time limit, such as `max_elapsed = \"30s\"`",
        ),
        (
            "[retry.outside_retry]\nmax_attempts = 0",
            "line 2, column 1: retry.outside_retry.max_attempts: `0` is out of range: `max_attempts` must be at least 1: it counts the first call as well",
        ),
        (
            "[retry.outside_retry]\nbackoff = \"fixed\"",
            "line 2, column 1: retry.outside_retry.backoff: `fixed` needs its delay: `fixed(1s)`",
        ),
        (
            "[retry.outside_retry]\nbackoff = \"linear(base = 1m)\"",
            "line 2, column 1: retry.outside_retry.backoff: `linear(base = 1m)` is out of range: `max` must not be below `base`",
        ),
        (
            "[retry.outside_retry]\nbackoff = \"expo(base = 1m)\"",
            "line 2, column 1: retry.outside_retry.backoff: unknown backoff; there are `exponential`, `fixed`, `linear`, `fibonacci`, `decorrelated`, `none`",
        ),
        (
            "[retry.outside_retry]\njitter = 5",
            "line 2, column 1: retry.outside_retry.jitter: unknown jitter; there are `full`, `equal`, `proportional`, `symmetric`, `none`",
        ),
        (
            "[retry.outside_retry]\njitter = \"proportional(2)\"",
            "line 2, column 1: retry.outside_retry.jitter: `proportional(2)` is out of range: the share of `proportional` must be in 0.0..=1.0",
        ),
        (
            "[retry.outside_retri]",
            "line 1, column 8: retry.outside_retri: unknown retry, did you mean `outside_retry`? there are ",
        ),
    ] {
        let error = configure_from_toml(text).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
    assert_eq!(count().await, (11, seconds(10)), "a text with issues changes nothing");
    configure_from_toml("[retry.outside_retry]").unwrap();
    assert_eq!((count().await, count_other()), ((1, Duration::ZERO), 2));
}

fn vars(variables: &[(&str, &str)]) -> Result<(), String> {
    let owned = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    configure_from_vars(owned).map_err(|error| error.to_string())
}

#[test]
fn environment_variables_configure_breakers() {
    let _lock = lock_layers();
    vars(&[
        ("PATH", "/bin"),
        ("STEADFAST_BREAKER_OUTSIDE_VARS_FAILURE_THRESHOLD", "10"),
        ("STEADFAST_BREAKER_OUTSIDE_VARS_RECOVERY_TIMEOUT", " exponential(base = 1s) "),
        ("STEADFAST_BREAKER_OUTSIDE_VARS_LONGER_FAILURE_THRESHOLD", "11"),
    ])
    .unwrap();
    let expected = BreakerConfig::new().failure_threshold(10).exponential_recovery(seconds(1), 2.0, seconds(300));
    assert_eq!(find("outside_vars").config(), expected);
    assert_eq!(find("outside_vars_longer").config(), BreakerConfig::new().failure_threshold(11));
    for (variable, value, expected) in [
        ("OUTSIDE_VARS_FAILURE_THRESHOLD", "many", "`many` is not a whole number, such as `10`"),
        ("OUTSIDE_VARS_TRESHOLD", "5", "unknown option; there are `preset`, "),
        ("OUTSIDE_VRS_FAILURE_THRESHOLD", "5", "does not name a breaker: unknown breaker"),
        (
            "OUTSIDE_SAME_RAMP_UP",
            "5s",
            "is ambiguous between breaker `outside same` and breaker `outside-same`: set both in a file",
        ),
    ] {
        let variable = format!("STEADFAST_BREAKER_{variable}");
        let all = [(variable.as_str(), value), ("STEADFAST_BREAKER_OUTSIDE_VARS_LONGER_FAILURE_THRESHOLD", "99")];
        let error = vars(&all).unwrap_err();
        assert!(error.starts_with(&format!("{variable}: {expected}")), "{error}");
        assert_eq!(
            find("outside_vars_longer").config(),
            BreakerConfig::new().failure_threshold(11),
            "nothing is applied"
        );
    }
}

#[test]
fn settings_apply_to_keyed_breakers() {
    let _lock = lock_layers();
    outside_hosts(failure()).unwrap_err();
    configure_from_toml("[breaker.outside_hosts]\nfailure_threshold = 2").unwrap();
    outside_hosts(failure()).unwrap_err();
    assert_eq!(keyed_breakers("outside_hosts").unwrap().get(&1).unwrap().state(), Open);
}

#[rate_limit(name = "outside_limit", limit = 1, per = 1h, max_wait = 1ms)]
fn limited() -> Result<(), RateLimited> {
    Ok(())
}

// Declares a name without settings.
#[allow(dead_code, reason = "configured without being called")]
#[rate_limit(name = "outside_unlimited")]
fn unlimited() -> Result<(), RateLimited> {
    Ok(())
}

static TENANTS: KeyedRateLimits = KeyedRateLimits::new("outside_tenants", RateLimitConfig::new(5, seconds(1)));
steadfast::register!(TENANTS);

#[allow(dead_code, reason = "configured without being called")]
#[bulkhead(name = "outside_bulkhead", max_concurrent = 3)]
fn bounded() -> Result<(), BulkheadFull> {
    Ok(())
}

static SHARDS: KeyedBulkheads = KeyedBulkheads::new("outside_shards", BulkheadConfig::new().max_concurrent(1));
steadfast::register!(SHARDS);

#[test]
fn rate_limits_are_configured() {
    let _lock = lock_layers();
    let config = || rate_limit("outside_limit").unwrap().config();
    let declared = RateLimitConfig::new(1, seconds(3_600)).max_wait(Duration::from_millis(1));
    limited().unwrap();
    limited().unwrap_err();
    configure_from_toml("[rate_limit.outside_limit]\nlimit = 2").unwrap();
    assert_eq!(config(), Some(RateLimitConfig::new(2, seconds(3_600)).max_wait(Duration::from_millis(1))));
    // Calls that were counted before still count.
    limited().unwrap();
    limited().unwrap_err();
    configure_from_toml("[rate_limit.outside_limit]\nper = \"2s\"\nmax_wait = \"none\"\nalgorithm = \"gcra\"").unwrap();
    assert_eq!(config(), Some(RateLimitConfig::new(1, seconds(2)).algorithm(Algorithm::Gcra)));
    // `burst` may stand before the algorithm that it needs.
    let gcra = declared.algorithm(Algorithm::Gcra);
    configure_from_toml("[rate_limit.outside_limit]\nburst = 5\nalgorithm = \"gcra\"").unwrap();
    assert_eq!(config(), Some(gcra.burst(5)));
    vars(&[("STEADFAST_RATE_LIMIT_OUTSIDE_LIMIT_BURST", "6")]).unwrap();
    assert_eq!(config(), Some(gcra.burst(6)));
    vars(&[]).unwrap();
    configure_from_toml("").unwrap();
    let prefix = "STEADFAST_RATE_LIMIT_OUTSIDE_LIMIT";
    vars(&[(&format!("{prefix}_BURST"), "7"), (&format!("{prefix}_ALGORITHM"), "gcra")]).unwrap();
    assert_eq!(config(), Some(gcra.burst(7)));
    vars(&[(&format!("{prefix}_ALGORITHM"), "gcra"), (&format!("{prefix}_BURST"), "none")]).unwrap();
    assert_eq!(config(), Some(gcra));
    vars(&[]).unwrap();
    configure_from_toml("[rate_limit.outside_limit]").unwrap();
    assert_eq!(config(), Some(declared), "an empty table restores the declared settings");
    configure_from_toml("[rate_limit.outside_tenants]\nmax_wait = \"5s\"").unwrap();
    assert_eq!(TENANTS.config(), Some(RateLimitConfig::new(5, seconds(1)).max_wait(seconds(5))));
    vars(&[("STEADFAST_RATE_LIMIT_OUTSIDE_LIMIT_LIMIT", "7")]).unwrap();
    assert_eq!(config().unwrap().get_limit(), 7);

    let unlimited = || rate_limit("outside_unlimited").unwrap().config();
    for (settings, expected) in [
        ("limit = 5", "line 1, column 13: rate_limit.outside_unlimited: needs both `limit` and `per`"),
        ("limit = 5\nper = 1", "line 3, column 1: rate_limit.outside_unlimited.per: a duration needs a unit"),
        (
            "limit = 0\nper = \"1s\"",
            "line 2, column 1: rate_limit.outside_unlimited.limit: `0` is out of range: `limit`",
        ),
    ] {
        let error =
            configure_from_toml(&format!("[rate_limit.outside_unlimited]\n{settings}")).unwrap_err().to_string();
        assert!(error.starts_with(expected) && error.lines().count() == 1, "{error}");
        assert_eq!(unlimited(), None, "nothing is applied");
    }
    configure_from_toml("[rate_limit.outside_unlimited]\nper = \"1m\"\nlimit = 100").unwrap();
    assert_eq!(unlimited(), Some(RateLimitConfig::new(100, seconds(60))));
}

#[test]
fn bulkheads_are_configured() {
    let _lock = lock_layers();
    let config = || bulkhead("outside_bulkhead").unwrap().config();
    let declared = BulkheadConfig::new().max_concurrent(3);
    configure_from_toml("[bulkhead.outside_bulkhead]\nmax_concurrent = 9\nmax_wait = \"2s\"").unwrap();
    assert_eq!(config(), declared.max_concurrent(9).max_wait(seconds(2)));
    configure_from_toml("[bulkhead.outside_bulkhead]\nmax_wait = \"none\"").unwrap();
    assert_eq!(config(), declared, "`none` clears max_wait");
    configure_from_toml("[bulkhead.outside_bulkhead]\nmax_queue = 7").unwrap();
    assert_eq!(config(), declared.max_queue(7));
    configure_from_toml("[bulkhead.outside_bulkhead]\nmax_queue = \"none\"").unwrap();
    assert_eq!(config(), declared, "`none` clears max_queue");
    let (shard, settings) = (SHARDS.bulkhead("1"), "max_concurrent = 2\nmax_wait = \"3s\"\nmax_queue = 7");
    configure_from_toml(&format!("[bulkhead.outside_shards]\n{settings}")).unwrap();
    assert_eq!(shard.config().to_string(), "max_concurrent = 2, max_wait = 3s, max_queue = 7");
    drop(shard.try_acquire_many(2).unwrap());
    vars(&[("STEADFAST_BULKHEAD_OUTSIDE_BULKHEAD_MAX_CONCURRENT", "4")]).unwrap();
    assert_eq!(config(), declared.max_concurrent(4));
}

#[test]
fn issues_in_limits_and_bulkheads_name_the_remedy() {
    let _lock = lock_layers();
    for (text, expected) in [
        (
            "[rate_limit.outside_tenants]\nlimit = 2000000",
            "`2000000` is out of range: `limit` must be at most 1,048,576",
        ),
        ("[rate_limit.outside_tenants]\nper = \"0s\"", "`0s` is out of range: `per` must be longer than 0"),
        ("[rate_limit.outside_tenants]\nmax_wait = \"0s\"", "`0s` is out of range: `max_wait` must be longer than 0"),
        ("[rate_limit.outside_tenants]\nalgorithm = \"gcr\"", "unknown algorithm, did you mean `gcra`?"),
        ("[rate_limit.outside_tenants]\nlimits = 1", "unknown option, did you mean `limit`?"),
        ("[rate_limit.outside_tenant]", "unknown rate_limit, did you mean `outside_tenants`?"),
        ("[bulkhead.outside_bulkhead]\nmax_concurrent = 0", "`max_concurrent` must be at least 1"),
        ("[rate_limit.outside_tenants]\nburst = 5", "`5` is out of range: `burst` needs `algorithm = gcra`"),
        ("[rate_limit.outside_tenants]\nburst = 0\nalgorithm = \"gcra\"", "`burst` must be at least 1"),
        ("[bulkhead.outside_bulkhead]\nmax_queue = 0", "`max_queue` must be at least 1"),
        ("[bulkhead.outside_bulkhead]\nmax_wait = \"0s\"", "`max_wait` must be longer than 0"),
        ("[bulkhead.outside_bulkhead]\nplaces = 1", "unknown option; there are `max_concurrent`, `max_wait`"),
        ("[bulkheads.outside_bulkhead]", "unknown table, did you mean `bulkhead`?"),
    ] {
        let error = configure_from_toml(text).unwrap_err().to_string();
        assert!(error.contains(expected) && error.lines().count() == 1, "{text}: {error}");
    }
}

#[test]
fn an_issue_in_a_file_names_the_file() {
    let _lock = lock_layers();
    let path = std::env::temp_dir().join(format!("steadfast-{}.toml", process::id()));
    let missing = configure_from_file(&path).unwrap_err();
    assert!(missing.to_string().starts_with(&format!("{}: cannot be read: ", path.display())), "{missing}");
    assert!(missing.source().unwrap().downcast_ref::<io::Error>().is_some());
    fs::write(&path, "[breaker.outside_file]\nfailure_threshold = 9\nramp_up = true").unwrap();
    let error = configure_from_file(&path).unwrap_err();
    assert!(
        error.to_string().starts_with(&format!("{}:3:1: breaker.outside_file.ramp_up: ", path.display())),
        "{error}"
    );
    assert!(error.source().is_none());
    fs::write(&path, "[breaker.outside_file]\nfailure_threshold = 9").unwrap();
    configure_from_file(&path).unwrap();
    assert_eq!(find("outside_file").config(), BreakerConfig::new().failure_threshold(9));
    fs::remove_file(path).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Any text is either applied or rejected, and a rejected one changes nothing.
    #[test]
    fn any_text_is_applied_or_rejected(
        option in prop_oneof![
            "[a-z_]{1,20}",
            prop::sample::select(vec!["window", "recovery_timeout", "failure_threshold", "preset", "slow_call", "min_calls"])
                .prop_map(str::to_owned),
        ],
        value in prop_oneof!["\\PC{0,40}", "\"[a-z(]{0,12}[0-9.e_]{0,30}[a-z)= ,]{0,12}\"", "-?[0-9]{1,30}"],
    ) {
        let _lock = lock_layers();
        let before = find("outside_random").config();
        if configure_from_toml(&format!("[breaker.outside_random]\n{option} = {value}\n")).is_err() {
            prop_assert_eq!(find("outside_random").config(), before);
        }
    }
}
