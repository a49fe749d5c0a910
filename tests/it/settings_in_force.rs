//! The list of the options in force, each with the place from which its value is.

use std::{io, time::Duration};

use steadfast::{
    Algorithm, BreakerConfig, Bulkhead, BulkheadConfig, CircuitBreaker, KeyedBreakers, KeyedBulkheads, KeyedRateLimits,
    RateLimit, RateLimitConfig, Setting, SettingSource, Window, breaker, bulkhead, circuit_breaker,
    configure_from_toml, configure_from_vars, keyed_breakers, keyed_bulkheads, keyed_rate_limits, rate_limit, retries,
    retry, testing::isolate,
};

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn texts(settings: &[Setting]) -> Vec<String> {
    settings.iter().map(Setting::to_string).collect()
}

/// The settings that are not from the code.
fn from_outside(settings: &[Setting]) -> Vec<String> {
    settings.iter().filter(|setting| setting.source != SettingSource::Code).map(Setting::to_string).collect()
}

fn variables<const N: usize>(variables: [(&str, &str); N]) -> impl Iterator<Item = (String, String)> {
    variables.into_iter().map(|(name, value)| (format!("STEADFAST_{name}"), value.to_owned()))
}

#[test]
fn all_options_with_an_effect_are_listed_with_their_defaults() {
    let breaker = CircuitBreaker::new("listed", BreakerConfig::new());
    assert_eq!(
        texts(&breaker.settings()),
        [
            "failure_threshold = 5 (code)",
            "window = none (code)",
            "recovery_timeout = 30s (code)",
            "recovery_jitter = 0 (code)",
            "half_open_max_calls = 3 (code)",
            "half_open_successes = 3 (code)",
            "ramp_up = 0s (code)",
            "hung_call = none (code)",
            "cancelled_call = none (code)",
            "durations = false (code)",
            "observe_only = false (code)",
        ]
    );
    breaker.reconfigure(
        BreakerConfig::new()
            .window(Window::time(seconds(60)))
            .slow_call(Duration::from_micros(250))
            .exponential_recovery(seconds(1), 1.5, seconds(60))
            .observe_only(true),
    );
    let settings = breaker.settings();
    assert!(settings.iter().all(|setting| setting.source == SettingSource::Live), "{settings:?}");
    let values: Vec<_> = settings.iter().map(|setting| (setting.option, setting.value.as_str())).collect();
    assert_eq!(
        values[..7],
        [
            ("failure_threshold", "none"),
            ("window", "time(60s)"),
            ("failure_rate", "0.5"),
            ("min_calls", "10"),
            ("slow_call", "250us"),
            ("slow_call_rate", "0.5"),
            ("recovery_timeout", "exponential(base = 1s, factor = 1.5, max = 60s)"),
        ]
    );
    assert_eq!(values.last(), Some(&("observe_only", "true")));
    breaker.reset_config();
    assert_eq!(from_outside(&breaker.settings()), [""; 0]);
}

#[allow(dead_code, reason = "only declared")]
#[circuit_breaker(name = "sources", failure_threshold = 3, recovery_timeout = 7s)]
fn with_breaker() -> Option<()> {
    None
}

#[test]
fn each_option_has_the_source_of_the_highest_layer_that_sets_it() {
    let own = isolate();
    let settings = || breaker("sources").unwrap().settings();
    assert_eq!(from_outside(&settings()), [""; 0]);
    configure_from_toml("[breaker.sources]\nfailure_threshold = 10\nhalf_open_max_calls = 3\nramp_up = \"5s\"")
        .unwrap();
    // A value that equals the one below is set all the same.
    let of_file = ["failure_threshold = 10 (file)", "half_open_max_calls = 3 (file)", "ramp_up = 5s (file)"];
    assert_eq!(from_outside(&settings()), of_file);
    configure_from_vars(variables([("BREAKER_SOURCES_RAMP_UP", "9s"), ("BREAKER_SOURCES_OBSERVE_ONLY", "true")]))
        .unwrap();
    assert_eq!(
        from_outside(&settings()),
        [of_file[0], of_file[1], "ramp_up = 9s (environment)", "observe_only = true (environment)"]
    );
    // The options that a window and a preset change are from the same place.
    configure_from_vars([]).unwrap();
    configure_from_toml("[breaker.sources]\nwindow = \"calls(20)\"").unwrap();
    assert_eq!(from_outside(&settings())[..1], ["window = calls(20) (file)"]);
    assert!(texts(&settings()).contains(&"failure_threshold = 3 (code)".to_owned()), "it stays beside the window");
    assert!(texts(&settings()).contains(&"failure_rate = 0.5 (file)".to_owned()), "{:?}", settings());
    configure_from_toml("[breaker.sources]\npreset = \"critical\"").unwrap();
    assert_eq!(from_outside(&settings()).len(), settings().len());
    // Live settings replace all options, until they are removed.
    breaker("sources").unwrap().reconfigure(BreakerConfig::new());
    assert!(settings().iter().all(|setting| setting.source == SettingSource::Live));
    breaker("sources").unwrap().reset_config();
    assert!(settings().iter().all(|setting| setting.source == SettingSource::File));
    configure_from_toml("").unwrap();
    assert_eq!(from_outside(&settings()), [""; 0]);
    configure_from_toml("[breaker.sources]\nfailure_threshold = 4").unwrap();
    drop(own);
    assert_eq!(from_outside(&settings()), [""; 0], "outside of the isolation");
}

#[allow(dead_code, reason = "only declared")]
#[circuit_breaker(name = "keyed sources", key = host, max_keys = 50)]
fn with_keyed_breaker(host: &str) -> Option<()> {
    None
}

#[allow(dead_code, reason = "only declared")]
#[rate_limit(name = "limit sources", limit = 5, per = 1s)]
fn with_limit() -> io::Result<()> {
    Ok(())
}

#[allow(dead_code, reason = "only declared")]
#[rate_limit(name = "keyed limit sources", key = host, limit = 5, per = 1s, algorithm = gcra)]
fn with_keyed_limit(host: &str) -> io::Result<()> {
    Ok(())
}

#[allow(dead_code, reason = "only declared")]
#[bulkhead(name = "bulkhead sources", max_concurrent = 4, max_wait = 100ms)]
fn with_bulkhead() -> io::Result<()> {
    Ok(())
}

#[allow(dead_code, reason = "only declared")]
#[bulkhead(name = "keyed bulkhead sources", key = host)]
fn with_keyed_bulkhead(host: &str) -> io::Result<()> {
    Ok(())
}

#[test]
fn every_kind_of_policy_lists_its_settings() {
    let _own = isolate();
    configure_from_toml(
        r#"
        [breaker."keyed sources"]
        durations = true
        [rate_limit."limit sources"]
        max_wait = "2s"
        [rate_limit."keyed limit sources"]
        burst = 3
        [bulkhead."bulkhead sources"]
        max_queue = 7
        "#,
    )
    .unwrap();
    configure_from_vars(variables([("BULKHEAD_KEYED_BULKHEAD_SOURCES_MAX_CONCURRENT", "9")])).unwrap();

    let breakers = keyed_breakers("keyed sources").unwrap();
    assert_eq!(from_outside(&breakers.settings()), ["durations = true (file)"]);
    assert_eq!(texts(&breakers.settings()).last().unwrap(), "max_keys = 50 (code)");
    let of_key = breakers.breaker("a").settings();
    assert_eq!(of_key, breakers.settings()[..of_key.len()], "a key has the settings of its group");
    breakers.reconfigure(breakers.config().failure_threshold(2));
    assert_eq!(texts(&breakers.breaker("a").settings())[0], "failure_threshold = 2 (live)");

    assert_eq!(
        texts(&rate_limit("limit sources").unwrap().settings()),
        ["limit = 5 (code)", "per = 1s (code)", "max_wait = 2s (file)", "algorithm = sliding_window (code)"]
    );
    let limits = keyed_rate_limits("keyed limit sources").unwrap();
    let expected = [
        "limit = 5 (code)",
        "per = 1s (code)",
        "max_wait = none (code)",
        "algorithm = gcra (code)",
        "burst = 3 (file)",
        "max_keys = 10000 (code)",
    ];
    assert_eq!(texts(&limits.settings()), expected);
    assert_eq!(texts(&limits.limit("a").settings()), expected[..5]);

    assert_eq!(
        texts(&bulkhead("bulkhead sources").unwrap().settings()),
        ["max_concurrent = 4 (code)", "max_wait = 100ms (code)", "max_queue = 7 (file)"]
    );
    let bulkheads = keyed_bulkheads("keyed bulkhead sources").unwrap();
    let expected = ["max_concurrent = 9 (environment)", "max_wait = none (code)", "max_keys = 10000 (code)"];
    assert_eq!(texts(&bulkheads.settings()), expected);
    assert_eq!(texts(&bulkheads.bulkhead("a").settings()), expected[..2]);
}

#[test]
fn statics_list_their_settings_as_well() {
    static HOSTS: KeyedBreakers = KeyedBreakers::new("static sources", BreakerConfig::new()).max_keys(3);
    static TENANTS: KeyedRateLimits =
        KeyedRateLimits::new("static limits", RateLimitConfig::new(5, seconds(1)).algorithm(Algorithm::Gcra));
    static POOLS: KeyedBulkheads = KeyedBulkheads::new("static bulkheads", BulkheadConfig::new());
    let last = |settings: Vec<Setting>| settings.last().map(Setting::to_string);
    assert_eq!(last(HOSTS.settings()).as_deref(), Some("max_keys = 3 (code)"));
    assert_eq!(texts(&TENANTS.settings())[4], "burst = 5 (code)");
    assert_eq!(texts(&POOLS.settings())[0], "max_concurrent = 25 (code)");
    let limit = RateLimit::new("static limit", RateLimitConfig::new(5, seconds(1)));
    limit.reconfigure(RateLimitConfig::new(6, seconds(1)));
    assert_eq!(texts(&limit.settings())[0], "limit = 6 (live)");
    let bulkhead = Bulkhead::new("static bulkhead", BulkheadConfig::new());
    bulkhead.reconfigure(bulkhead.config().max_concurrent(2));
    assert_eq!(texts(&bulkhead.settings())[0], "max_concurrent = 2 (live)");
}

#[retry(name = "retry sources", max_attempts = 3, backoff = fixed(1s))]
fn retried() -> io::Result<()> {
    Ok(())
}

#[allow(dead_code, reason = "only declared")]
#[retry(name = "retry sources", max_attempts = 5, backoff = fixed(1s))]
fn retried_more() -> io::Result<()> {
    Ok(())
}

#[test]
fn a_retry_lists_the_settings_of_all_its_functions() {
    let _own = isolate();
    retried().unwrap();
    let settings = || {
        let all = retries();
        texts(&all.iter().find(|retry| retry.name == "retry sources").unwrap().settings)
    };
    let mut of_code = settings();
    of_code.sort();
    assert_eq!(
        of_code,
        [
            "backoff = fixed(1s) (code)",
            "jitter = full (code)",
            "max_attempts = 3 (code)",
            "max_attempts = 5 (code)",
            "max_elapsed = none (code)",
            "max_retry_after = 60s (code)",
        ]
    );
    configure_from_toml("[retry.\"retry sources\"]\nmax_attempts = 2").unwrap();
    assert_eq!(
        settings(),
        [
            "max_attempts = 2 (file)",
            "backoff = fixed(1s) (code)",
            "jitter = full (code)",
            "max_elapsed = none (code)",
            "max_retry_after = 60s (code)",
        ]
    );
    configure_from_toml("").unwrap();
    assert!(settings().contains(&"max_attempts = 5 (code)".to_owned()));
}

#[test]
fn settings_can_be_written_back_as_options() {
    let config = BreakerConfig::critical()
        .failure_threshold(4)
        .window(Window::calls(50))
        .failure_rate(0.25)
        .slow_call(Duration::from_micros(1_500))
        .exponential_recovery(Duration::from_millis(500), 3.0, seconds(90))
        .recovery_jitter(0.1)
        .half_open_max_calls(5)
        .half_open_successes(2)
        .ramp_up(seconds(3))
        .hung_call(Duration::from_micros(1_001))
        .durations(true);
    let declared = CircuitBreaker::new("written", config);
    let _own = isolate();
    let options = declared.settings().into_iter().filter(|setting| setting.value != "none");
    let options = options.map(|Setting { option, value, .. }| match value.parse::<f64>() {
        Ok(_) => format!("{option} = {value}\n"),
        Err(_) if ["true", "false"].contains(&value.as_str()) => format!("{option} = {value}\n"),
        Err(_) => format!("{option} = \"{value}\"\n"),
    });
    configure_from_toml(&format!("[breaker.sources]\n{}", options.collect::<String>())).unwrap();
    assert_eq!(breaker("sources").unwrap().config(), config);
}

#[test]
fn a_setting_can_be_serialized() {
    let bulkhead = Bulkhead::new("serialized settings", BulkheadConfig::new());
    bulkhead.reconfigure(bulkhead.config().max_concurrent(2));
    assert_eq!(
        serde_json::to_value(&bulkhead.settings()[0]).unwrap(),
        serde_json::json!({ "option": "max_concurrent", "value": "2", "source": "live" })
    );
}
