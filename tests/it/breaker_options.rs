//! Options of `#[circuit_breaker]`: each is applied to the breaker, with and without a key.

use std::{io, time::Duration};

use steadfast::{
    BreakerConfig,
    BreakerState::{self, Closed, HalfOpen, Open},
    CircuitBreaker, KeyedBreakers, Window, breaker, circuit_breaker, keyed_breakers, retry,
};
use tokio::time::{advance, sleep};

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const WINDOW: Window = Window::calls(7);
const RATE: f64 = 0.25;

mod each {
    use super::*;

    macro_rules! declare {
        ($($function:ident($($options:tt)*);)*) => {
            $(#[allow(dead_code, reason = "listed without being called")]
            #[circuit_breaker(name = stringify!($function), $($options)*)]
            pub(super) fn $function() -> Option<()> {
                Some(())
            })*
        };
    }

    declare! {
        by_calls(window = calls(50), failure_rate = 0.2, min_calls = 20);
        by_time(window = time(60s), slow_call = 2s, slow_call_rate = 1);
        by_constants(window = WINDOW, failure_rate = RATE, slow_call = seconds(3));
        by_path(window = Window::time(seconds(9)));
        growing(recovery_timeout = exponential(base = 1s, factor = 1.5, max = 1m), recovery_jitter = 0.1);
        growing_by_default(recovery_timeout = exponential());
        const_function(recovery_timeout = seconds(11));
        ramping(ramp_up = 30s, observe_only = true);
        observing(observe_only);
        not_observing(observe_only = false);
        critical(preset = critical);
        overridden(preset = database, recovery_timeout = 1s);
        preset_by_rate(preset = non_critical, window = calls(10));
    }
}

#[test]
fn each_option_is_applied_to_the_breaker() {
    const NEW: BreakerConfig = BreakerConfig::new();
    for (name, expected) in [
        ("by_calls", NEW.window(Window::calls(50)).failure_rate(0.2).min_calls(20)),
        ("by_time", NEW.window(Window::time(seconds(60))).slow_call(seconds(2)).slow_call_rate(1.0)),
        ("by_constants", NEW.window(WINDOW).failure_rate(RATE).slow_call(seconds(3))),
        ("by_path", NEW.window(Window::time(seconds(9)))),
        ("growing", NEW.exponential_recovery(seconds(1), 1.5, seconds(60)).recovery_jitter(0.1)),
        ("growing_by_default", NEW.exponential_recovery(seconds(30), 2.0, seconds(300))),
        ("const_function", NEW.recovery_timeout(seconds(11))),
        ("ramping", NEW.ramp_up(seconds(30)).observe_only(true)),
        ("observing", NEW.observe_only(true)),
        ("not_observing", NEW),
        ("critical", BreakerConfig::critical()),
        ("overridden", BreakerConfig::database().recovery_timeout(seconds(1))),
        ("preset_by_rate", BreakerConfig::non_critical().window(Window::calls(10))),
    ] {
        assert_eq!(breaker(name).unwrap().config(), expected, "{name}");
    }
    each::by_calls().unwrap();
    assert_eq!(breaker("by_calls").unwrap().snapshot().window.unwrap().calls, 1);
}

#[circuit_breaker(name = "by failure rate", window = calls(10), min_calls = 4, half_open_max_calls = 1)]
async fn by_failure_rate(result: io::Result<()>) -> io::Result<()> {
    result
}

#[circuit_breaker(name = "by slow calls", window = time(60s), min_calls = 4, slow_call = 2s)]
async fn by_slow_calls(duration: Duration) -> io::Result<()> {
    sleep(duration).await;
    Ok(())
}

fn failure() -> io::Result<()> {
    Err(io::ErrorKind::TimedOut.into())
}

#[tokio::test(start_paused = true)]
async fn windows_open_breakers_of_annotated_functions() {
    for result in [Ok(()), failure(), Ok(()), Ok(())] {
        _ = by_failure_rate(result).await;
    }
    assert_eq!(breaker("by failure rate").unwrap().state(), Closed);
    for expected in [Closed, Open] {
        by_failure_rate(failure()).await.unwrap_err();
        assert_eq!(breaker("by failure rate").unwrap().state(), expected);
    }
    advance(seconds(30)).await;
    by_failure_rate(Ok(())).await.unwrap();
    assert_eq!(breaker("by failure rate").unwrap().state(), Closed);

    for duration in [3, 1, 1, 2] {
        assert_eq!(breaker("by slow calls").unwrap().state(), Closed);
        by_slow_calls(seconds(duration)).await.unwrap();
    }
    assert_eq!(breaker("by slow calls").unwrap().state(), Open);
    let rejected = by_slow_calls(seconds(0)).await.unwrap_err();
    assert!(rejected.to_string().contains("2 of 4 calls were slow (50 %)"), "{rejected}");
}

#[derive(Clone, Debug)]
struct Request {
    host: String,
    port: u16,
}

#[retry(max_attempts = 2, backoff = none)]
#[circuit_breaker(name = "by host", key = format_args!("{}:{}", request.host, request.port), failure_threshold = 2)]
async fn by_host(request: Request, result: fn() -> io::Result<()>) -> io::Result<Request> {
    result().map(|()| request)
}

#[circuit_breaker(name = "by host", key = host)]
fn also_by_host(host: &str) -> io::Result<usize> {
    Ok(host.len())
}

struct Client {
    tenant: String,
}

impl Client {
    #[circuit_breaker(name = "by tenant", key = self.tenant, max_keys = 2, failure_threshold = 1)]
    fn call(&mut self, result: io::Result<()>) -> io::Result<()> {
        self.tenant.push('!');
        result
    }
}

static OWN: KeyedBreakers = KeyedBreakers::new("own keys", BreakerConfig::new().failure_threshold(1)).max_keys(7);

#[circuit_breaker(breaker = OWN, key = number)]
fn by_number(number: u32) -> Option<u32> {
    number.is_multiple_of(2).then_some(number)
}

fn state(name: &str, key: &str) -> Option<BreakerState> {
    Some(keyed_breakers(name)?.get(key)?.state())
}

#[tokio::test(start_paused = true)]
async fn each_key_has_its_own_breaker() {
    assert_eq!(keyed_breakers("by host").unwrap().len(), 0);
    let request = |host: &str| Request { host: host.to_owned(), port: 443 };
    by_host(request("down"), || Err(io::ErrorKind::TimedOut.into())).await.unwrap_err();
    assert_eq!(state("by host", "down:443"), Some(Open), "each attempt went through the breaker");
    let rejected = by_host(request("down"), || Ok(())).await.unwrap_err();
    let expected = "circuit `by host` for `down:443` is open after 2 failures in a row; retry after 30.000s";
    assert_eq!(rejected.to_string(), expected);
    assert_eq!(by_host(request("up"), || Ok(())).await.unwrap().host, "up");
    also_by_host("down:443").unwrap_err();
    assert_eq!(also_by_host("elsewhere").unwrap(), 9);
    assert_eq!(keyed_breakers("by host").unwrap().len(), 3);
    assert!(breaker("by host").is_none());
    advance(seconds(30)).await;
    also_by_host("down:443").unwrap();
    assert_eq!(state("by host", "down:443"), Some(HalfOpen));
}

#[test]
fn methods_and_user_declared_statics_can_have_keys() {
    let mut client = Client { tenant: "a".to_owned() };
    client.call(failure()).unwrap_err();
    assert_eq!(state("by tenant", "a"), Some(Open));
    client.call(Ok(())).unwrap();
    assert_eq!(keyed_breakers("by tenant").unwrap().snapshot().max_keys, 2);

    assert_eq!(by_number(2), Some(2));
    assert_eq!(by_number(3), None);
    assert_eq!((state("own keys", "2"), state("own keys", "3")), (Some(Closed), Some(Open)));
    assert!(std::ptr::eq(keyed_breakers("own keys").unwrap(), &raw const OWN));
}

#[test]
fn futures_with_a_key_stay_small() {
    const fn size<F>(_: &F) -> usize {
        size_of::<F>()
    }
    #[allow(clippy::unused_async, reason = "its size is measured")]
    async fn bare(host: &str) -> io::Result<usize> {
        sleep(seconds(1)).await;
        Ok(host.len())
    }
    #[circuit_breaker(name = "small", key = host)]
    async fn keyed(host: &str) -> io::Result<usize> {
        sleep(seconds(1)).await;
        Ok(host.len())
    }
    let (bare, keyed) = (size(&bare("a")), size(&keyed("a")));
    assert!(keyed <= bare + 72, "{bare} grew to {keyed}");
}

#[allow(dead_code, reason = "declared only to conflict")]
mod conflicting {
    use super::*;

    #[circuit_breaker(name = "both kinds", key = host)]
    fn with_a_key(host: &str) -> Option<usize> {
        Some(host.len())
    }

    #[circuit_breaker(name = "both kinds")]
    fn without() -> Option<()> {
        None
    }

    #[circuit_breaker(name = "other bounds", key = host, max_keys = 5)]
    fn five(host: &str) -> Option<usize> {
        Some(host.len())
    }

    #[circuit_breaker(name = "other bounds", key = host, max_keys = 6)]
    fn six(host: &str) -> Option<usize> {
        Some(host.len())
    }

    #[circuit_breaker(name = "other bounds", key = host)]
    fn by_name(host: &str) -> Option<usize> {
        Some(host.len())
    }
}

#[test]
fn declarations_with_and_without_a_key_conflict() {
    let conflicts = steadfast::validate().unwrap_err();
    let of = |name| conflicts.iter().filter(move |conflict| conflict.name == name).map(ToString::to_string);
    let both_kinds: Vec<_> = of("both kinds").collect();
    assert_eq!(both_kinds.len(), 1);
    assert!(both_kinds[0].contains("is declared with a `key` at "), "{both_kinds:?}");
    let bounds: Vec<_> = of("other bounds").collect();
    assert_eq!(bounds.len(), 1);
    assert!(bounds[0].contains("max_keys = 5` at ") && bounds[0].contains("max_keys = 6` at "), "{bounds:?}");
}

#[test]
fn a_config_displays_as_attribute_options() {
    let config = BreakerConfig::new()
        .window(Window::time(seconds(60)))
        .slow_call(seconds(2))
        .exponential_recovery(seconds(1), 1.5, seconds(60))
        .recovery_jitter(0.1)
        .ramp_up(seconds(30))
        .observe_only(true);
    assert_eq!(
        config.to_string(),
        "window = time(60s), failure_rate = 0.5, min_calls = 10, slow_call = 2s, slow_call_rate = 0.5, \
         recovery_timeout = exponential(base = 1s, factor = 1.5, max = 60s), recovery_jitter = 0.1, \
         half_open_max_calls = 3, ramp_up = 30s, observe_only"
    );
    let breaker = CircuitBreaker::new("displayed", config);
    assert_eq!(breaker.config(), config, "the config is kept unchanged");
}
