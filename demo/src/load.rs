//! Runs one lane under load while the service follows the script, and records the result.

use std::cell::Cell;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use serde::{Deserialize, Serialize};
use steadfast::{BreakerState, CircuitBreaker};
use tokio::task::JoinSet;
use tokio::time::{self, Instant, MissedTickBehavior};

use crate::checkout::{HUNG_CALL, Lane, Outcome};
use crate::payments::{Order, Payments};
use crate::progress::LaneBar;
use crate::script::{Mode, Script};
use crate::service::{HANG, PaymentService};

/// The interval at which the breaker's state is sampled. A half-open state lasts as long as a trial call, which can be a few milliseconds.
const SAMPLE_EVERY: Duration = Duration::from_millis(1);
const SHOW_EVERY: Duration = Duration::from_millis(50);

/// The time that the last callers have after the end of the script, in addition to one attempt. It suffices for four attempts, three
/// of them after a `Retry-After`, on a busy machine.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(15);

/// The settings of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Settings {
    pub(crate) script: Script,
    /// Callers per second.
    pub(crate) rps: u32,
    pub(crate) naive_timeout: Duration,
    /// The time after which a caller gives up: its call is cancelled.
    pub(crate) patience: Option<Duration>,
}

impl Settings {
    /// Returns the longest duration of an attempt in this lane.
    pub(crate) fn longest_attempt(&self, lane: Lane) -> Duration {
        lane.timeout(self.naive_timeout).unwrap_or(HANG).min(self.patience.unwrap_or(HANG))
    }

    /// Returns the time for which callers accumulate in this lane while the service hangs.
    pub(crate) fn accumulation(&self, lane: Lane) -> Duration {
        if lane == Lane::HungCall { HUNG_CALL } else { self.longest_attempt(lane) }
    }

    /// Returns the time that the last callers have after the end of the script.
    pub(crate) fn drain_timeout(&self, lane: Lane) -> Duration {
        DRAIN_TIMEOUT + self.longest_attempt(lane)
    }
}

/// The recording of one lane. Times are relative to its start.
#[derive(Debug)]
pub(crate) struct Recording {
    pub(crate) lane: Lane,
    pub(crate) phases: Vec<PlayedPhase>,
    pub(crate) calls: Vec<Call>,
    /// Requests that reached the service.
    pub(crate) requests: Vec<Request>,
    /// The number of connections that the service refused.
    pub(crate) refused: usize,
    /// The state changes of the breaker, starting with its initial state.
    pub(crate) breaker: Vec<(Duration, BreakerState)>,
}

/// A phase of the script with its actual times.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PlayedPhase {
    pub(crate) mode: Mode,
    pub(crate) from: Duration,
    pub(crate) to: Duration,
}

/// The call of one caller.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Call {
    /// The scheduled arrival, so that a late start counts as latency.
    pub(crate) arrived: Duration,
    pub(crate) ended: Duration,
    pub(crate) outcome: Outcome,
}

/// A request that reached the service, and the service's mode at that time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    pub(crate) at: Duration,
    pub(crate) mode: Mode,
}

/// Runs `lane` against a service of its own.
pub(crate) async fn play(lane: Lane, settings: &Settings, bar: &LaneBar) -> anyhow::Result<Recording> {
    let service = PaymentService::start().context("cannot start the payment service")?;
    let log = service.log();
    let payments = Arc::new(Payments::new(service.address(), lane.timeout(settings.naive_timeout))?);
    let run = LaneRun::new(lane, settings);

    let mut breaker = Vec::new();
    let ((service, phases), calls) = tokio::select! {
        both = async { tokio::try_join!(
            run_script(service, &settings.script, run.start, &run.mode),
            run.send_callers(&payments)
        ) } => both?,
        never = run.watch(bar, &mut breaker) => match never {},
    };
    drop(service);

    let since_start = |at: std::time::Instant| at.saturating_duration_since(run.start.into_std());
    let requests = log.requests().into_iter().map(|(at, mode)| Request { at: since_start(at), mode }).collect();
    Ok(Recording { lane, phases, calls, requests, refused: payments.refused(), breaker })
}

/// Switches the service through the modes of the script. Returns the service, because the last callers may still be waiting for it.
pub(crate) async fn run_script(
    mut service: PaymentService,
    script: &Script,
    start: Instant,
    mode: &Cell<Mode>,
) -> anyhow::Result<(PaymentService, Vec<PlayedPhase>)> {
    let mut phases: Vec<PlayedPhase> = Vec::new();
    let mut phase_end = start;
    for phase in script.phases() {
        service = service
            .switch_to(phase.mode)
            .await
            .with_context(|| format!("cannot switch the service to `{}`", phase.mode))?;
        mode.set(phase.mode);
        let from = start.elapsed();
        phase_end += phase.duration;
        time::sleep_until(phase_end).await;
        phases.push(PlayedPhase { mode: phase.mode, from, to: start.elapsed() });
    }
    Ok((service, phases))
}

/// The state of a run, shared by the script, the callers and the recorder.
pub(crate) struct LaneRun<'a> {
    lane: Lane,
    settings: &'a Settings,
    start: Instant,
    mode: Cell<Mode>,
    in_flight: Cell<usize>,
}

impl<'a> LaneRun<'a> {
    /// Creates a run that starts now.
    pub(crate) fn new(lane: Lane, settings: &'a Settings) -> Self {
        Self { lane, settings, start: Instant::now(), mode: Cell::new(Mode::Healthy), in_flight: Cell::new(0) }
    }

    /// Starts a caller every 1/rps s, independently of the callers before it (open-loop load).
    pub(crate) async fn send_callers(&self, payments: &Arc<Payments>) -> anyhow::Result<Vec<Call>> {
        let interval = Duration::from_secs(1) / self.settings.rps;
        let mut arrivals = time::interval_at(self.start, interval);
        arrivals.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let end = self.start + self.settings.script.total();

        let mut callers = JoinSet::new();
        let mut calls = Vec::new();
        for number in 0.. {
            let arrival = loop {
                tokio::select! {
                    arrival = arrivals.tick() => break arrival,
                    Some(call) = callers.join_next() => calls.push(call?),
                }
                self.in_flight.set(callers.len());
            };
            if arrival >= end {
                break;
            }
            let outcome = call(self.lane, self.settings.patience, Arc::clone(payments), Order { number });
            let (start, arrived) = (self.start, arrival - self.start);
            callers.spawn(async move {
                let outcome = outcome.await;
                Call { arrived, ended: start.elapsed(), outcome }
            });
            self.in_flight.set(callers.len());
        }

        let limit = self.settings.drain_timeout(self.lane);
        let drain = async {
            while let Some(call) = callers.join_next().await {
                calls.push(call?);
                self.in_flight.set(callers.len());
            }
            anyhow::Ok(())
        };
        time::timeout(limit, drain).await.with_context(|| format!("callers are still waiting after {limit:?}"))??;
        Ok(calls)
    }

    /// Records the states of the breaker and updates the progress bar until the future is dropped.
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
                    let lane_state = format_args!("{:>4} in flight{breaker}", self.in_flight.get());
                    bar.show(self.start.elapsed(), self.mode.get(), &lane_state);
                }
            }
        }
    }
}

/// Makes the call of one caller, who gives up after `patience`.
pub(crate) async fn call(lane: Lane, patience: Option<Duration>, payments: Arc<Payments>, order: Order) -> Outcome {
    let checkout = lane.check_out(&payments, order);
    match patience {
        Some(patience) => time::timeout(patience, checkout).await.unwrap_or(Outcome::Failed),
        None => checkout.await,
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::try_join_all;

    use super::*;
    use crate::measure::LaneStats;
    use crate::payments::PaymentError;
    use crate::progress::Progress;
    use crate::scene::Scene;

    // These tests use real sockets and therefore real time, but assert on events only and not on durations.

    async fn record(lane: Lane, script: &str, patience: Option<Duration>) -> anyhow::Result<Recording> {
        let script: Script = script.parse().map_err(anyhow::Error::msg)?;
        let settings = Settings { script, rps: 50, naive_timeout: HANG, patience };
        let bar = Progress::new(&settings.script).lane(lane.name())?;
        play(lane, &settings, &bar).await
    }

    #[tokio::test]
    async fn every_mode_of_the_service_yields_its_error() -> anyhow::Result<()> {
        let mut service = PaymentService::start()?;
        let log = service.log();
        let payments = Payments::new(service.address(), Some(HANG))?;
        let impatient = Payments::new(service.address(), Some(Duration::from_millis(1)))?;
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
                // Waits until the request has reached the service; no response follows.
                let received = async {
                    while log.requests().last().is_none_or(|(_, mode)| *mode != Mode::Hanging) {
                        time::sleep(Duration::from_millis(1)).await;
                    }
                };
                tokio::select! {
                    answer = charge => anyhow::bail!("the hanging service answers {answer:?}"),
                    received = time::timeout(HANG, received) => received?,
                }
                impatient.charge(Order { number: 2 }).await
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
    async fn the_naive_lane_runs_through_every_phase() -> anyhow::Result<()> {
        let recording = record(Lane::Naive, "healthy 200ms, 503 100ms, refusing 100ms", None).await?;

        let modes: Vec<_> = recording.phases.iter().map(|phase| phase.mode).collect();
        assert_eq!(modes, [Mode::Healthy, Mode::Unavailable, Mode::Refusing]);
        let stats = LaneStats::of(&recording);
        assert_eq!((stats.callers, stats.answered + stats.failed, stats.queued), (20, 20, 0), "{stats:?}");
        Ok(())
    }

    #[tokio::test]
    async fn the_guarded_lane_opens_and_uses_its_fallback() -> anyhow::Result<()> {
        let recording = record(Lane::Guarded, "503 400ms", None).await?;

        let stats = LaneStats::of(&recording);
        assert_eq!((stats.callers, stats.queued), (20, 20), "{stats:?}");
        assert_opens(&recording);
        Ok(())
    }

    #[tokio::test]
    async fn without_timeouts_the_circuit_opens_before_a_call_has_ended() -> anyhow::Result<()> {
        let breaker = Lane::HungCall.breaker().context("the lane has no breaker")?;
        breaker.reconfigure(breaker.config().hung_call(Duration::from_millis(200)));
        let recording = record(Lane::HungCall, "hanging 2s, refusing 100ms", None).await?;

        let stats = LaneStats::of(&recording);
        assert_eq!((stats.callers, stats.queued), (105, 105), "{stats:?}");
        assert_opens(&recording);
        // Until the service stops, no call that reached it has ended.
        let (opened, stopped) = (recording.breaker[1].0, recording.phases[1].from);
        assert!(opened < stopped, "opened after {opened:?}, service stopped after {stopped:?}");
        Ok(())
    }

    #[tokio::test]
    async fn the_circuit_opens_for_callers_who_give_up() -> anyhow::Result<()> {
        let patience = Some(Duration::from_millis(250));
        let lanes = Scene::GiveUp.lanes().iter().map(|lane| record(*lane, "hanging 3s", patience));
        for recording in try_join_all(lanes).await? {
            let stats = LaneStats::of(&recording);
            assert_eq!((stats.callers, stats.failed + stats.queued), (150, 150), "{stats:?}");
            if recording.lane == Lane::Naive {
                assert_eq!(stats.failed, 150, "{stats:?}");
            } else {
                assert!(stats.requests_while_down < 150, "{stats:?}");
                assert_opens(&recording);
            }
        }
        Ok(())
    }

    fn assert_opens(recording: &Recording) {
        let history: Vec<_> = recording.breaker.iter().map(|&(_, state)| state).collect();
        assert_eq!(history.get(..2), Some(&[BreakerState::Closed, BreakerState::Open][..]), "{history:?}");
    }
}
