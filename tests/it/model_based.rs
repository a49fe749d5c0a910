//! Model-based test: a breaker behaves like a simple model of it for random sequences of events.
//!
//! `PROPTEST_CASES` sets the number of sequences.

mod model;

use std::{
    env, io,
    ops::RangeInclusive,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    time::Duration,
};

use proptest::{collection::vec, prelude::*, sample::select};
use steadfast::{
    BreakerConfig,
    BreakerState::{Closed, Disabled},
    CircuitBreaker, Override, Window,
};
use tokio::runtime;

use self::model::{Config, Counts, Model, Outcome, Policy, Reason, Rejected, Totals};

/// The length of a sequence: 60 events on average. A length of 1 is allowed, so that a failing sequence can be shrunk.
const STEPS: RangeInclusive<usize> = 1..=119;

/// Percentages of a configured time. The largest ones amount to weeks and years.
const PERCENT: [u64; 10] = [1, 6, 50, 50, 99, 101, 200, 1_000, 1_000_000, 100_000_000];

/// An event of a sequence. Numbers select one of the items that exist at that point.
#[derive(Clone, Copy, Debug)]
enum Event {
    Acquire,
    /// Ends a call in flight.
    End(usize, Outcome),
    /// Makes a call that ends at once.
    Call(Outcome),
    Panic,
    /// Advances the clock by a percentage of one of the configured times.
    Advance {
        which: usize,
        percent: u64,
    },
    /// Advances the clock to a point at which something expires, plus this many microseconds.
    AdvanceTo {
        which: usize,
        beyond: i64,
    },
    ForceOpen(Option<u64>),
    Disable(Option<u64>),
    Reset,
    Open {
        expires_in: Option<u64>,
        failed: u32,
    },
    Close,
    Reconfigure(usize),
}

/// The configurations between which a sequence switches.
fn settings() -> impl Strategy<Value = Vec<Config>> {
    vec(config(), 1..4)
}

fn config() -> impl Strategy<Value = Config> {
    // Times from a millisecond to ten minutes.
    let time = (6..25_u32).prop_flat_map(|length| (16_u64 << length)..(32 << length));
    let policy = prop_oneof![
        2 => (1..5_u32).prop_map(Policy::Consecutive),
        3 => (1..=32_u32).prop_map(Policy::Calls),
        3 => time.prop_map(Policy::Time),
    ];
    let rate = || select(vec![0.1, 0.25, 1.0 / 3.0, 0.5, 0.6, 0.9, 1.0]);
    let slow_call = prop::option::of(select(vec![1, 700, 20_000, 3_000_000_u64]));
    let hung_call = prop::option::of(select(vec![2_400, 60_000, 1_200_000, 30_000_000_u64]));
    let cancelled_call = prop::option::of(select(vec![1_000, 70_000, 1_500_000_u64]));
    let growth = select(vec![(1.0, 1), (1.5, 3), (2.0, 10), (3.0, 20)]);
    let recovery = select(vec![1, 999, 10_000, 300_001, 30_000_000_u64]);
    let threshold = prop::option::weighted(0.3, 1..7_u32);
    let rules = (policy, threshold, 1..9_u32, rate(), slow_call, rate());
    let times = (recovery, growth, hung_call, cancelled_call);
    (rules, times, (1..5_u32, 1..6_u32), prop::bool::weighted(0.1)).prop_map(
        |(rules, times, (trials, successes), observe_only)| {
            let (policy, threshold, min_calls, failure_rate, slow_call, slow_call_rate) = rules;
            let (recovery, growth, hung_call, cancelled_call) = times;
            let (factor, most) = growth;
            let max_recovery = recovery * most;
            Config {
                policy,
                threshold,
                min_calls,
                failure_rate,
                slow_call,
                slow_call_rate,
                recovery,
                factor,
                max_recovery,
                trials,
                successes,
                observe_only,
                hung_call,
                cancelled_call,
            }
        },
    )
}

/// Generates an event from two numbers. This is several times as fast as a union of strategies, which would dominate the run time.
fn event() -> impl Strategy<Value = Event> {
    (0..75_u32, 0..1_000_usize).prop_map(|(kind, which)| {
        let outcome = match kind % 10 {
            0..4 => Outcome::Failure,
            4..7 => Outcome::Success,
            7 => Outcome::Ignored,
            _ => Outcome::Cancelled,
        };
        let expiry = [None, Some(0), Some(1), Some(1_000), Some(5_000_000)][which % 5];
        match kind {
            0..14 => Event::Acquire,
            14..32 => Event::End(which, outcome),
            32..50 => Event::Call(outcome),
            50..52 => Event::Panic,
            52..58 => Event::Advance { which: which / PERCENT.len(), percent: PERCENT[which % PERCENT.len()] },
            58..61 => Event::AdvanceTo { which, beyond: 0 },
            61..63 => Event::AdvanceTo { which, beyond: 1 },
            63..65 => Event::AdvanceTo { which, beyond: -1 },
            65 => Event::ForceOpen(expiry),
            66 => Event::Disable(expiry),
            67 => Event::Reset,
            72..74 => Event::Open { expires_in: expiry, failed: [0, 1, 2][which / 5 % 3] },
            74 => Event::Close,
            _ => Event::Reconfigure(which),
        }
    })
}

/// Converts the model's settings to those of the library.
fn library_config(config: &Config) -> BreakerConfig {
    let micros = Duration::from_micros;
    let converted = BreakerConfig::new()
        .min_calls(config.min_calls)
        .failure_rate(config.failure_rate)
        .slow_call_rate(config.slow_call_rate)
        .exponential_recovery(micros(config.recovery), config.factor, micros(config.max_recovery))
        .half_open_max_calls(config.trials)
        .half_open_successes(config.successes)
        .observe_only(config.observe_only);
    let converted = match config.slow_call {
        Some(limit) => converted.slow_call(micros(limit)),
        None => converted,
    };
    let converted = config.hung_call.map_or(converted, |limit| converted.hung_call(micros(limit)));
    let converted = config.cancelled_call.map_or(converted, |limit| converted.cancelled_call(micros(limit)));
    let beside_window = config.threshold.filter(|_| !matches!(config.policy, Policy::Consecutive(_)));
    let converted = beside_window.map_or(converted, |threshold| converted.failure_threshold(threshold));
    match config.policy {
        Policy::Consecutive(threshold) => converted.failure_threshold(threshold),
        Policy::Calls(calls) => converted.window(Window::calls(calls)),
        Policy::Time(time) => converted.window(Window::time(micros(time))),
    }
}

/// A breaker, its model, and the calls in flight.
struct Pair<'a> {
    breaker: &'a CircuitBreaker,
    model: Model,
    settings: &'a [Config],
    in_flight: Vec<InFlight<'a>>,
}

type InFlight<'a> = (steadfast::Permit<'a>, model::Permit);

impl<'a> Pair<'a> {
    async fn step(&mut self, event: Event) -> Result<(), TestCaseError> {
        match event {
            Event::Acquire => {
                let in_flight = self.acquire()?;
                self.in_flight.extend(in_flight);
            }
            Event::End(..) if self.in_flight.is_empty() => {}
            Event::End(which, outcome) => {
                let in_flight = self.in_flight.swap_remove(which % self.in_flight.len());
                if self.model.is_unknown(in_flight.1) {
                    std::mem::forget(in_flight.0);
                } else {
                    self.end(in_flight, outcome);
                }
            }
            Event::Call(outcome) => {
                if let Some(in_flight) = self.acquire()? {
                    self.end(in_flight, outcome);
                }
            }
            Event::Panic => self.panic()?,
            Event::Advance { which, percent } => {
                let config = self.model.config;
                let window = if let Policy::Time(window) = config.policy { window } else { 0 };
                let [slow, hung] = [config.slow_call, config.hung_call].map(Option::unwrap_or_default);
                let times = [config.recovery, config.max_recovery, slow, window, hung, hung / 2];
                self.advance(times[which % times.len()] * percent / 100).await;
            }
            Event::AdvanceTo { which, beyond } => {
                let deadlines = self.model.deadlines();
                if let Some(deadline) = deadlines.get(which % deadlines.len().max(1)) {
                    self.advance(deadline.saturating_add_signed(beyond)).await;
                }
            }
            Event::ForceOpen(expires_in) => {
                match expires_in {
                    Some(micros) => self.breaker.force_open_for(Duration::from_micros(micros)),
                    None => self.breaker.force_open(),
                }
                self.model.force_open(expires_in);
            }
            Event::Disable(expires_in) => {
                match expires_in {
                    Some(micros) => self.breaker.disable_for(Duration::from_micros(micros)),
                    None => self.breaker.disable(),
                }
                self.model.disable(expires_in);
            }
            Event::Reset => {
                self.breaker.reset();
                self.model.reset();
            }
            Event::Open { expires_in, failed } => {
                let open = Override::open().failed_recoveries(failed);
                self.breaker.apply_override(&match expires_in {
                    Some(micros) => open.expires_in(Duration::from_micros(micros)),
                    None => open,
                });
                self.model.override_open(expires_in, failed);
            }
            Event::Close => {
                self.breaker.apply_override(&Override::close());
                self.model.override_close();
            }
            Event::Reconfigure(which) => {
                let config = self.settings[which % self.settings.len()];
                self.breaker.reconfigure(library_config(&config));
                self.model.reconfigure(config);
            }
        }
        self.compare()
    }

    async fn advance(&mut self, micros: u64) {
        tokio::time::advance(Duration::from_micros(micros)).await;
        self.model.now += micros;
    }

    fn acquire(&mut self) -> Result<Option<InFlight<'a>>, TestCaseError> {
        let before = self.breaker.snapshot().hung;
        let actual = self.breaker.try_acquire();
        let after = self.breaker.snapshot();
        let expected = self.model.acquire(after.hung - before, after.open_reason.map(Reason::from));
        match (actual, expected) {
            (Ok(permit), Ok(expected)) => Ok(Some((permit, expected))),
            (Err(open), Err(expected)) => {
                let (reason, elapsed, retry_after) = (open.reason().into(), open.elapsed(), open.retry_after());
                prop_assert_eq!(Rejected { reason, elapsed, retry_after }, expected);
                Ok(None)
            }
            (actual, expected) => {
                let actual = actual.map(|_| "admitted");
                Err(TestCaseError::fail(format!("{actual:?}, expected {expected:?}")))
            }
        }
    }

    fn end(&mut self, (permit, expected): InFlight<'a>, outcome: Outcome) {
        let before = self.breaker.snapshot().hung;
        match outcome {
            Outcome::Success => permit.success(),
            Outcome::Failure => permit.failure(),
            Outcome::Ignored => permit.ignore(),
            Outcome::Cancelled => drop(permit),
        }
        let after = self.breaker.snapshot();
        self.model.end(expected, outcome, after.hung - before, after.open_reason.map(Reason::from));
    }

    fn panic(&mut self) -> Result<(), TestCaseError> {
        let call = || self.breaker.call(|| -> io::Result<()> { resume_unwind(Box::new("panic in a call")) });
        let before = self.breaker.snapshot().hung;
        let panicked = catch_unwind(AssertUnwindSafe(call)).is_err();
        let after = self.breaker.snapshot();
        let expected = self.model.acquire(after.hung - before, after.open_reason.map(Reason::from));
        prop_assert_eq!(panicked, expected.is_ok());
        if let Ok(permit) = expected {
            self.model.end(permit, Outcome::Failure, 0, None);
        }
        Ok(())
    }

    fn compare(&mut self) -> Result<(), TestCaseError> {
        self.model.update_outage();
        let (model, snapshot) = (&self.model, self.breaker.snapshot());
        let state = model.state_by_time();
        prop_assert_eq!((self.breaker.state(), snapshot.state), (state, state));
        prop_assert_eq!(snapshot.consecutive_failures, model.consecutive_failures());
        let as_u32 = |count: u64| u32::try_from(count).unwrap();
        let window = snapshot.window.map(|window| Counts {
            calls: as_u32(window.calls),
            failures: as_u32(window.failures),
            slow: as_u32(window.slow),
        });
        prop_assert_eq!(window, model.window());
        let totals = Totals {
            successes: snapshot.successes,
            failures: snapshot.failures,
            ignored: snapshot.ignored,
            cancelled: snapshot.cancelled,
            hung: snapshot.hung,
            in_flight: snapshot.in_flight,
            rejections: snapshot.rejections,
            observed_rejections: snapshot.observed_rejections,
            transitions: snapshot.transitions,
        };
        let tracked = model.tracked_in_flight();
        prop_assert_eq!(totals, Totals { in_flight: tracked, ..model.totals });
        prop_assert_eq!(snapshot.failed_recoveries, model.failed_recoveries);
        prop_assert_eq!(snapshot.trials_in_flight, model.trials_in_flight());
        let outage = snapshot.outage.map(|outage| (outage.reason.into(), outage.failed_recoveries, outage.lasted()));
        let expected = model.outage().map(|outage| (outage.reason, outage.failed_recoveries, outage.lasted));
        prop_assert_eq!(outage, expected);
        let admits_all = model.config.observe_only || matches!(state, Closed | Disabled);
        prop_assert_eq!(snapshot.admitted_share.to_bits(), f64::from(u8::from(admits_all)).to_bits());
        prop_assert_eq!(snapshot.open_reason.map(Reason::from), model.open_reason());
        prop_assert_eq!(snapshot.open_for, model.open_for().map(Duration::from_micros));
        prop_assert_eq!(snapshot.disabled_for, model.disabled_for().map(Duration::from_micros));
        Ok(())
    }
}

/// Runs 3,000 sequences, unless `PROPTEST_CASES` is set.
fn cases() -> ProptestConfig {
    let default = ProptestConfig::default();
    let cases = if env::var_os("PROPTEST_CASES").is_some() { default.cases } else { 3_000 };
    ProptestConfig { cases, failure_persistence: None, ..default }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn the_breaker_behaves_like_its_model(settings in settings(), events in vec(event(), STEPS)) {
        let runtime = runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let breaker = CircuitBreaker::new("modelled", library_config(&settings[0]));
        let mut pair = Pair { breaker: &breaker, model: Model::new(settings[0]), settings: &settings, in_flight: vec![] };
        runtime.block_on(async {
            for event in events {
                pair.step(event).await?;
            }
            while let Some(in_flight) = pair.in_flight.pop() {
                pair.end(in_flight, Outcome::Ignored);
            }
            pair.compare()
        })?;
    }
}
