//! The engine of a breaker: it connects the state machine with the clock, totals, window, history and events.
//!
//! - [`admit`] decides whether a call is made.
//! - [`record`] records the outcome of a call.
//! - [`publish`] makes the transitions, one at a time, and updates the window, the history and the events.
//! - [`hang`] tracks the calls in flight and counts hung calls, [`cancel`] counts cancelled calls.
//! - [`inspect`] computes the state, the snapshot and the remaining time, without changing anything.
//! - [`clock_change`] rebases the stored moments if a test has switched to another clock.
//! - `eviction` ranks keyed breakers for eviction.

mod admit;
mod cancel;
mod clock_change;
#[cfg(feature = "keyed")]
mod eviction;
mod hang;
mod inspect;
mod publish;
mod record;

use std::{
    fmt::Display,
    sync::{Arc, atomic::Ordering},
};

use once_cell::race::OnceBox;

#[cfg(any(feature = "metrics", feature = "prometheus-client"))]
pub(crate) use self::inspect::Measurement;
use self::{cancel::Cancellations, publish::Publisher};
use super::{
    BreakerConfig, BreakerState, Override, history::History, in_flight::InFlight, manual_override::Action,
    parameters::Parameters, settings::BreakerSettings, state::Circuit, state::atomic::AtomicState, window::Window,
};
use crate::{
    clock::{self, Moment},
    keyed_store::key::Key,
    layers::Setting,
    totals::{Sums, Totals},
};

/// A breaker without its settings: its state, totals, window, history and key.
#[derive(Debug)]
pub(crate) struct Engine {
    circuit: AtomicState,
    totals: Totals,
    /// The sliding window, allocated with the first call that is recorded in it.
    window: OnceBox<Window>,
    /// The calls in flight, allocated by the first call that is tracked.
    in_flight: OnceBox<InFlight>,
    /// The recently cancelled calls, allocated by the first one.
    cancellations: OnceBox<Cancellations>,
    /// Allocated with the first transition, rejection or override: a breaker that has always been closed has none.
    history: OnceBox<History>,
    key: Option<Key>,
}

/// The error of a failed call, or a description of the failure; `None` if there is none.
pub(crate) type Failure<'n> = Option<&'n dyn Display>;

/// A borrowed breaker: its engine, and its settings, which keyed breakers share.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BreakerRef<'a> {
    engine: &'a Engine,
    settings: &'a BreakerSettings,
}

impl Engine {
    pub(crate) const fn new(parameters: &Parameters, totals: Totals, key: Option<Key>) -> Self {
        Self {
            circuit: AtomicState::new(Circuit::new(parameters)),
            totals,
            window: OnceBox::new(),
            in_flight: OnceBox::new(),
            cancellations: OnceBox::new(),
            history: OnceBox::new(),
            key,
        }
    }

    pub(crate) fn sums(&self) -> Sums {
        self.totals.sums().with_observed_rejections(self.observed_rejections())
    }

    /// The number of calls that would have been rejected without `observe_only`.
    fn observed_rejections(&self) -> u64 {
        self.history.get().map_or(0, History::observed_rejections)
    }

    pub(crate) const fn key(&self) -> Option<&Key> {
        self.key.as_ref()
    }

    fn history(&self) -> &History {
        self.history.get_or_init(Box::default)
    }

    /// The moment of the last change of state; [`Moment::ORIGIN`] before the first.
    fn since(&self) -> Moment {
        match self.changed_at() {
            0 => Moment::ORIGIN,
            changed_at => Moment::from_micros(changed_at),
        }
    }

    /// The moment of the last change of state, in microseconds; 0 before the first.
    fn changed_at(&self) -> u64 {
        // ORDERING: Relaxed: callers that need the exact value hold the lock under which it is written.
        self.history.get().map_or(0, |history| history.changed_at.load(Ordering::Relaxed))
    }

    /// The reason that was given for the override that began `epoch`.
    fn operator_reason(&self, epoch: u32) -> Option<Arc<str>> {
        self.history.get()?.details().operator_reason(epoch)
    }

    fn set_operator_reason(&self, epoch: u32, reason: Option<&Arc<str>>) {
        if reason.is_some() || self.history.get().is_some() {
            self.history().details().set_operator_reason(epoch, reason);
        }
    }
}

impl<'a> BreakerRef<'a> {
    #[inline]
    pub(crate) const fn new(engine: &'a Engine, settings: &'a BreakerSettings) -> Self {
        Self { engine, settings }
    }

    pub(crate) const fn name(self) -> &'static str {
        self.settings.name
    }

    pub(crate) fn config(self) -> BreakerConfig {
        self.settings.config()
    }

    /// The options in force, each with the place from which its value is.
    pub(crate) fn settings(self) -> Vec<Setting> {
        self.settings.settings()
    }

    /// The settings in force.
    fn parameters(self) -> Parameters {
        let mut parameters = self.settings.parameters();
        // Once calls have been tracked, the ends of those in flight are counted even if `hung_call` is removed.
        parameters.tracks_calls |= self.engine.in_flight.get().is_some();
        parameters
    }

    /// Applies changed settings to the window and the circuit.
    pub(crate) fn apply_settings(self) {
        if let Some(window) = self.engine.window.get() {
            window.apply_settings(self.parameters().policy.rates().map(|rates| rates.window));
        }
        self.apply_hung_call();
        self.engine
            .circuit
            .step(&self.observer(None), |circuit| circuit.apply_settings(&self.parameters(), clock::now));
    }

    pub(crate) fn apply_override(self, manual_override: &Override) {
        let Override { action, expires_in, ref reason } = *manual_override;
        let now = clock::now();
        self.sync_clock(now);
        let until = expires_in.map(|expires_in| now.after(clock::micros(expires_in)));
        let observer = Publisher { operator_reason: reason.as_ref(), ..self.observer(None) };
        let parameters = self.parameters();
        let changed = self.engine.circuit.step(&observer, |circuit| match action {
            Action::ForceOpen => circuit.force_open(until),
            Action::Disable => circuit.disable(until),
            Action::Reset => Some(circuit.reset(&parameters)),
            Action::Open { failed } => circuit.open(until, failed, now),
            Action::Close => circuit.close(&parameters, clock::now),
        });
        self.engine.stamp_clock(now);
        // An override to the current state changes only the expiry and the reason. No transition stores the reason, so it is stored here.
        let word = changed.map_or_else(|| self.engine.circuit.word(), Circuit::word);
        let is_in_force = match action {
            Action::ForceOpen => word.state() == BreakerState::ForcedOpen,
            Action::Disable => word.state() == BreakerState::Disabled,
            Action::Open { .. } => word.state() == BreakerState::Open,
            Action::Reset | Action::Close => false,
        };
        if is_in_force {
            self.engine.set_operator_reason(word.epoch(), reason.as_ref());
        }
    }

    /// The observer of the transitions that a call makes. `failure` is the error of a failed call, as far as it is known.
    const fn observer<'n>(self, failure: Failure<'n>) -> Publisher<'a, 'n> {
        Publisher { breaker: self, operator_reason: None, failure }
    }
}
