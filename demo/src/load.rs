//! Plays the script to one lane, under load, and writes down what happens.

use std::cell::Cell;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use serde::{Deserialize, Serialize};
use steadfast::{BreakerState, CircuitBreaker};
use tokio::task::JoinSet;
use tokio::time::{self, Instant, MissedTickBehavior};

use crate::checkout::{Lane, Outcome};
use crate::payments::{Order, Payments};
use crate::progress::LaneBar;
use crate::script::{Mode, Script};
use crate::service::PaymentService;

/// Half-open lasts as long as a trial call does: a few milliseconds when the service answers at once.
const SAMPLE_EVERY: Duration = Duration::from_millis(1);
const SHOW_EVERY: Duration = Duration::from_millis(50);

/// How long the last callers may take after the script has ended, beyond one time-out: four attempts, three of them
/// after a `Retry-After`, on a machine that may be busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);

/// How a lane is played.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Settings {
    pub(crate) script: Script,
    /// Callers a second.
    pub(crate) rps: u32,
    pub(crate) naive_timeout: Duration,
}

/// What happened in one lane. Times count from its start.
#[derive(Debug)]
pub(crate) struct Recording {
    pub(crate) lane: Lane,
    pub(crate) phases: Vec<Played>,
    pub(crate) calls: Vec<Call>,
    /// Requests that reached the service.
    pub(crate) requests: Vec<Request>,
    /// Connections that it refused.
    pub(crate) refused: usize,
    /// Each change of the breaker's state, the first one included.
    pub(crate) breaker: Vec<(Duration, BreakerState)>,
}

/// A phase of the script as it really was.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Played {
    pub(crate) mode: Mode,
    pub(crate) from: Duration,
    pub(crate) to: Duration,
}

/// One caller.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Call {
    /// When the clock said that this caller comes: a late start counts as time that the caller waited.
    pub(crate) arrived: Duration,
    pub(crate) ended: Duration,
    pub(crate) outcome: Outcome,
}

/// A request that reached the service, and the mode it met.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    pub(crate) at: Duration,
    pub(crate) mode: Mode,
}

/// Plays the script to `lane`, against a service of its own.
pub(crate) async fn play(lane: Lane, settings: &Settings, bar: &LaneBar) -> anyhow::Result<Recording> {
    let service = PaymentService::start().context("cannot start the payment service")?;
    let log = service.log();
    let payments = Arc::new(Payments::new(service.address(), lane.time_out(settings.naive_timeout))?);
    let stage = Stage::new(lane, settings);

    let mut breaker = Vec::new();
    let ((service, phases), calls) = tokio::select! {
        both = async { tokio::try_join!(
            direct(service, &settings.script, stage.start, &stage.mode),
            stage.send_callers(&payments)
        ) } => both?,
        never = stage.watch(bar, &mut breaker) => match never {},
    };
    drop(service);

    let since_start = |at: std::time::Instant| at.saturating_duration_since(stage.start.into_std());
    let requests = log.requests().into_iter().map(|(at, mode)| Request { at: since_start(at), mode }).collect();
    Ok(Recording { lane, phases, calls, requests, refused: payments.refused(), breaker })
}

/// Takes the service through the script, and hands it back: the last callers may still need it.
pub(crate) async fn direct(
    mut service: PaymentService,
    script: &Script,
    start: Instant,
    mode: &Cell<Mode>,
) -> anyhow::Result<(PaymentService, Vec<Played>)> {
    let mut phases: Vec<Played> = Vec::new();
    let mut ends = start;
    for phase in script.phases() {
        service = service
            .switch_to(phase.mode)
            .await
            .with_context(|| format!("the service cannot be made {}", phase.mode))?;
        mode.set(phase.mode);
        let from = start.elapsed();
        ends += phase.lasts;
        time::sleep_until(ends).await;
        phases.push(Played { mode: phase.mode, from, to: start.elapsed() });
    }
    Ok((service, phases))
}

/// What the director of the service, the callers and the watcher share.
pub(crate) struct Stage<'a> {
    lane: Lane,
    settings: &'a Settings,
    start: Instant,
    mode: Cell<Mode>,
    in_flight: Cell<usize>,
}

impl<'a> Stage<'a> {
    /// The lane's, which begins now.
    pub(crate) fn new(lane: Lane, settings: &'a Settings) -> Self {
        Self { lane, settings, start: Instant::now(), mode: Cell::new(Mode::Healthy), in_flight: Cell::new(0) }
    }

    /// Sends a caller every 1/rps s, whatever became of those before: customers do not wait for each other.
    pub(crate) async fn send_callers(&self, payments: &Arc<Payments>) -> anyhow::Result<Vec<Call>> {
        let apart = Duration::from_secs(1) / self.settings.rps;
        let mut due = time::interval_at(self.start, apart);
        due.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let end = self.start + self.settings.script.total();

        let mut callers = JoinSet::new();
        let mut calls = Vec::new();
        for number in 0.. {
            let arrives = loop {
                tokio::select! {
                    arrives = due.tick() => break arrives,
                    Some(call) = callers.join_next() => calls.push(call?),
                }
                self.in_flight.set(callers.len());
            };
            if arrives >= end {
                break;
            }
            callers.spawn(call(self.lane, Arc::clone(payments), Order { number }, self.start, arrives));
            self.in_flight.set(callers.len());
        }

        let patience = PATIENCE + self.lane.time_out(self.settings.naive_timeout);
        let rest = async {
            while let Some(call) = callers.join_next().await {
                calls.push(call?);
                self.in_flight.set(callers.len());
            }
            anyhow::Ok(())
        };
        time::timeout(patience, rest).await.with_context(|| format!("callers still waiting after {patience:?}"))??;
        Ok(calls)
    }

    /// Notes the breaker's states, and shows how things stand, until it is dropped.
    async fn watch(&self, bar: &LaneBar, states: &mut Vec<(Duration, BreakerState)>) -> Infallible {
        let mut sample = time::interval_at(self.start, SAMPLE_EVERY);
        sample.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut show = time::interval_at(self.start, SHOW_EVERY);
        show.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                biased;
                _ = sample.tick() => {
                    let state = self.lane.breaker().map(CircuitBreaker::state);
                    if state != states.last().map(|&(_, last)| last) {
                        states.extend(state.map(|state| (self.start.elapsed(), state)));
                    }
                }
                _ = show.tick() => {
                    let breaker = states.last().map(|(_, state)| format!(", breaker {state}")).unwrap_or_default();
                    let rest = format_args!("{:>4} in flight{breaker}", self.in_flight.get());
                    bar.show(self.start.elapsed(), self.mode.get(), &rest);
                }
            }
        }
    }
}

async fn call(lane: Lane, payments: Arc<Payments>, order: Order, start: Instant, arrives: Instant) -> Call {
    let outcome = lane.check_out(&payments, order).await;
    Call { arrived: arrives - start, ended: start.elapsed(), outcome }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Figures;
    use crate::payments::PaymentError;
    use crate::progress::Progress;

    // Sockets are what these tests are about, so their time is real. They go by what happens in it, not by how long it takes.

    /// The bound of a hang.
    const FOREVER: Duration = Duration::from_secs(30);

    async fn record(lane: Lane, script: &str) -> anyhow::Result<Recording> {
        let script: Script = script.parse().map_err(anyhow::Error::msg)?;
        let settings = Settings { script, rps: 50, naive_timeout: FOREVER };
        let bar = Progress::new(&settings.script).lane(lane.name())?;
        play(lane, &settings, &bar).await
    }

    #[tokio::test]
    async fn the_service_fails_in_every_way() -> anyhow::Result<()> {
        let mut service = PaymentService::start()?;
        let log = service.log();
        let payments = Payments::new(service.address(), FOREVER)?;
        let hasty = Payments::new(service.address(), Duration::from_millis(1))?;
        let modes = [
            Mode::Healthy,
            Mode::Slow,
            Mode::Unavailable,
            Mode::RateLimited,
            Mode::Hanging,
            Mode::Refusing,
            Mode::Healthy,
        ];
        for mode in modes {
            service = service.switch_to(mode).await?;
            let charge = payments.charge(Order { number: 1 });
            let answer = if mode == Mode::Hanging {
                // It has the request and says nothing.
                let has_it = async {
                    while log.requests().last().is_none_or(|(_, met)| *met != Mode::Hanging) {
                        time::sleep(Duration::from_millis(1)).await;
                    }
                };
                tokio::select! {
                    answer = charge => anyhow::bail!("a service that hangs answers {answer:?}"),
                    has_it = time::timeout(FOREVER, has_it) => has_it?,
                }
                hasty.charge(Order { number: 2 }).await
            } else {
                charge.await
            };
            let is_expected = match mode {
                Mode::Healthy | Mode::Slow => answer.is_ok(),
                Mode::Unavailable => matches!(answer, Err(PaymentError::Unavailable(_))),
                Mode::RateLimited => matches!(answer, Err(PaymentError::RateLimited { .. })),
                Mode::Hanging => matches!(answer, Err(PaymentError::Timeout)),
                Mode::Refusing => matches!(answer, Err(PaymentError::Connection(_))),
            };
            assert!(is_expected, "{mode}: {answer:?}");
        }
        assert_eq!(payments.refused(), 1);
        Ok(())
    }

    #[tokio::test]
    async fn the_naive_lane_meets_every_phase() -> anyhow::Result<()> {
        let recording = record(Lane::Naive, "healthy 200ms, 503 100ms, refusing 100ms").await?;

        let modes: Vec<_> = recording.phases.iter().map(|phase| phase.mode).collect();
        assert_eq!(modes, [Mode::Healthy, Mode::Unavailable, Mode::Refusing]);
        let figures = Figures::of(&recording);
        assert_eq!((figures.callers, figures.answered + figures.failed, figures.queued), (20, 20, 0), "{figures:?}");
        Ok(())
    }

    #[tokio::test]
    async fn the_guarded_lane_opens_and_falls_back() -> anyhow::Result<()> {
        let recording = record(Lane::Guarded, "503 400ms").await?;

        let figures = Figures::of(&recording);
        assert_eq!((figures.callers, figures.queued), (20, 20), "{figures:?}");
        let states: Vec<_> = recording.breaker.iter().map(|&(_, state)| state).collect();
        assert_eq!(states.get(..2), Some(&[BreakerState::Closed, BreakerState::Open][..]), "{states:?}");
        Ok(())
    }
}
