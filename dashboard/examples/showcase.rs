//! A dashboard with breakers in every state: `cargo run -p steadfast-dashboard --example showcase -- 9090`

use std::{cell::Cell, env, error::Error, io, time::Duration};

use steadfast::{
    BreakerConfig, Bulkhead, BulkheadConfig, CircuitBreaker, KeyedBreakers, KeyedRateLimits, Override, RateLimit,
    RateLimitConfig, Window, circuit_breaker, retry,
};
use steadfast_dashboard::{Dashboard, Token};
use tokio::time::{Instant, interval, sleep};

const MINUTE: Duration = Duration::from_mins(1);
const DEFAULT: BreakerConfig = BreakerConfig::new();
const FAILURE_RATE: BreakerConfig = DEFAULT.window(Window::time(MINUTE)).failure_rate(0.5).min_calls(20);

/// A breaker, the percentage of its calls that fail, and their error.
type Service = (&'static CircuitBreaker, u8, &'static str);

macro_rules! services {
    ($($static:ident = $name:literal, $config:expr, $percent:literal $error:literal;)*) => {
        $(static $static: CircuitBreaker = CircuitBreaker::new($name, $config); steadfast::register!($static);)*
        static SERVICES: &[Service] = &[$((&$static, $percent, $error)),*];
    };
}

services! {
    PAYMENTS = "payments", DEFAULT.failure_threshold(5).recovery_timeout(Duration::from_secs(45)), 100 "connection refused (os error 111)";
    CATALOGUE = "catalogue", DEFAULT.failure_threshold(5), 0 "";
    SEARCH = "search", FAILURE_RATE, 21 "index is being rebuilt";
    MAIL = "mail", DEFAULT.failure_threshold(10), 38 "421 too many connections";
    STOCK = "stock", DEFAULT, 0 "";
    PRICES = "prices", DEFAULT.window(Window::calls(100)), 4 "deadline has elapsed";
    REVIEWS = "reviews", DEFAULT, 0 "";
    SHIPPING = "shipping quotes", DEFAULT.failure_threshold(3).recovery_timeout(Duration::from_secs(8)), 62 "503 Service Unavailable";
    FRAUD = "fraud check", DEFAULT, 0 "";
    SESSIONS = "sessions", DEFAULT, 0 "";
    IMAGES = "images", FAILURE_RATE.slow_call(Duration::from_secs(2)), 1 "unexpected end of file";
    LEDGER = "ledger export", DEFAULT, 0 "";
}

static HOSTS: KeyedBreakers = KeyedBreakers::new("suppliers", DEFAULT.failure_threshold(3).durations(true));
steadfast::register!(HOSTS);

static GEOCODING: RateLimit = RateLimit::new("geocoding", RateLimitConfig::new(100, Duration::from_secs(10)));
steadfast::register!(GEOCODING);

static TENANTS: KeyedRateLimits =
    KeyedRateLimits::new("requests per tenant", RateLimitConfig::new(60, MINUTE)).max_keys(5_000);
steadfast::register!(TENANTS);

static DATABASE: Bulkhead =
    Bulkhead::new("database", BulkheadConfig::new().max_concurrent(25).max_wait(Duration::from_millis(100)));
steadfast::register!(DATABASE);

static EXPORTS: Bulkhead = Bulkhead::new("exports", BulkheadConfig::new().max_concurrent(2));
steadfast::register!(EXPORTS);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let port: u16 = env::args().nth(1).map_or(Ok(9090), |port| port.parse())?;
    let token = Token::new("an-example-token")?;
    let server = Dashboard::new().token(token).bind(("127.0.0.1", port)).await?;
    println!("http://{}/  (the token: an-example-token)", server.address());
    FRAUD.apply_override(&Override::force_open().reason("migration until 14:00").expires_in(20 * MINUTE));
    LEDGER.apply_override(&Override::disable().reason("known to be flaky, OPS-311"));
    tokio::select! {
        ended = server.run() => ended?,
        () = generate_traffic() => {}
    }
    Ok(())
}

#[retry(name = "charge", max_attempts = 3, backoff = exponential(base = 20ms, max = 200ms))]
async fn charge(dice: u64) -> io::Result<()> {
    thread_local!(static ATTEMPTS: Cell<u64> = const { Cell::new(0) });
    let attempt = ATTEMPTS.replace(ATTEMPTS.get() + 1);
    if (dice + attempt).is_multiple_of(5) { Err(io::ErrorKind::TimedOut.into()) } else { Ok(()) }
}

#[retry(name = "refresh prices", max_attempts = 4, backoff = fixed(10ms))]
async fn refresh() -> io::Result<()> {
    Err(io::ErrorKind::ConnectionRefused.into())
}

/// Answers within 300 ms, and hangs for 8 s of each minute.
#[circuit_breaker(name = "recommendations", hung_call = 5s, failure_threshold = 20)]
async fn recommend(round: u64) -> io::Result<()> {
    let hangs = round % 3_000 >= 2_600;
    sleep(Duration::from_millis(if hangs { 20_000 } else { 20 + round % 29 * 10 })).await;
    Ok(())
}

async fn query(dice: u64) {
    let Ok(_permit) = DATABASE.acquire_async().await else { return };
    sleep(Duration::from_millis(200 + dice % 10 * 20)).await;
}

async fn export() {
    let Ok(_permit) = EXPORTS.try_acquire() else { return };
    sleep(Duration::from_secs(20)).await;
}

/// Calls every breaker, retry and limit in an endless loop.
async fn generate_traffic() {
    let (mut tick, start, mut round) = (interval(Duration::from_millis(20)), Instant::now(), 0_u64);
    // The start and the permit of a trial call that has not ended yet, which keeps its breaker half-open.
    let mut trial_call = None;
    loop {
        tick.tick().await;
        round += 1;
        for (index, (breaker, failure_percent, error)) in (0_u64..).zip(SERVICES) {
            let dice =
                round.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(index * 1_442_695_040_888_963_407) >> 33;
            let succeeds = dice % 100 >= u64::from(*failure_percent) || start.elapsed() < Duration::from_secs(2);
            let permit = breaker.try_acquire();
            if breaker.name() == "shipping quotes" && breaker.state() == steadfast::BreakerState::HalfOpen {
                let (begun, _) = trial_call.get_or_insert_with(|| (Instant::now(), permit.ok()));
                if begun.elapsed() > Duration::from_secs(6)
                    && let Some((_, Some(permit))) = trial_call.take()
                {
                    permit.failure_with(error);
                }
                continue;
            }
            match permit {
                Ok(permit) if succeeds => permit.success(),
                Ok(permit) => permit.failure_with(error),
                Err(_) => {}
            }
        }
        tokio::spawn(charge(round));
        tokio::spawn(query(round));
        if round.is_multiple_of(5) {
            tokio::spawn(recommend(round));
        }
        if round.is_multiple_of(250) {
            tokio::spawn(export());
        }
        if !round.is_multiple_of(6) {
            _ = GEOCODING.try_acquire();
        }
        let tenant = if round.is_multiple_of(4) { 7 } else { round % 90 };
        _ = TENANTS.limit(&format_args!("tenant-{tenant:02}")).try_acquire();
        if round.is_multiple_of(200) {
            tokio::spawn(refresh());
        }
        let host = round % 140;
        let is_down = matches!(host, 17 | 63 | 101);
        match HOSTS.try_acquire_owned(&format_args!("supplier-{host:03}.example.org")) {
            Ok(permit) if is_down => permit.failure_with(&"timed out"),
            Ok(permit) => permit.success(),
            Err(_) => {}
        }
    }
}
