//! What a breaker does with a call: the steps of [`word`](super::word), and all that goes with them.
//!
//! A call goes through [`admit`] and [`settle`]; whichever of them changes the state does so by [`transition`]. [`report`] tells.

mod admit;
mod clock_change;
#[cfg(feature = "keyed")]
mod eviction;
mod inspect;
mod publish;
mod record;

use std::sync::{Arc, PoisonError, atomic::Ordering};

use once_cell::race::OnceBox;

use self::publish::Publisher;
use super::{
    BreakerConfig, BreakerState, Override,
    history::History,
    manual_override::Action,
    parameters::{Parameters, TripPolicy},
    settings::BreakerSettings,
    state::Circuit,
    state::atomic::AtomicState,
    window::Window,
};
#[cfg(any(feature = "keyed", feature = "metrics", feature = "prometheus-client"))]
use crate::totals::Sums;
use crate::{
    clock::{self, Moment},
    key::Key,
    totals::Totals,
};

/// All of a breaker but its settings.
#[derive(Debug)]
pub(crate) struct Core {
    circuit: AtomicState,
    totals: Totals,
    /// Only a breaker by rates has one.
    window: OnceBox<Window>,
    /// What has happened of late; nothing as long as it has always been closed.
    history: OnceBox<History>,
    key: Option<Key>,
}

/// A breaker, wherever its settings are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BreakerRef<'a> {
    core: &'a Core,
    settings: &'a BreakerSettings,
}

impl Core {
    pub(crate) const fn new(rules: &Parameters, totals: Totals, key: Option<Key>) -> Self {
        Self {
            circuit: AtomicState::new(Circuit::new(rules)),
            totals,
            window: OnceBox::new(),
            history: OnceBox::new(),
            key,
        }
    }

    #[cfg(any(feature = "keyed", feature = "metrics", feature = "prometheus-client"))]
    pub(crate) fn sums(&self) -> Sums {
        self.totals.sums()
    }

    pub(crate) const fn key(&self) -> Option<&Key> {
        self.key.as_ref()
    }

    fn history(&self) -> &History {
        self.history.get_or_init(Box::default)
    }

    /// When it came into its state; when time began, before the first transition.
    fn since(&self) -> Moment {
        match self.changed_at() {
            0 => Moment::ORIGIN,
            changed_at => Moment::from_micros(changed_at),
        }
    }

    /// The same in microseconds; 0 before the first transition.
    fn changed_at(&self) -> u64 {
        // ORDERING: Relaxed: whoever needs it exact holds the lock under which it is written.
        self.history.get().map_or(0, |history| history.changed_at.load(Ordering::Relaxed))
    }

    /// What an operator said about the state that it is in since `epoch`.
    fn note(&self, epoch: u32) -> Option<Arc<str>> {
        let note = self.history.get()?.note.lock().unwrap_or_else(PoisonError::into_inner);
        if note.0 == epoch { note.1.clone() } else { None }
    }

    fn set_note(&self, epoch: u32, reason: Option<&Arc<str>>) {
        if reason.is_some() || self.history.get().is_some() {
            *self.history().note.lock().unwrap_or_else(PoisonError::into_inner) = (epoch, reason.cloned());
        }
    }
}

impl<'a> BreakerRef<'a> {
    #[inline]
    pub(crate) const fn new(core: &'a Core, settings: &'a BreakerSettings) -> Self {
        Self { core, settings }
    }

    pub(crate) const fn name(self) -> &'static str {
        self.settings.name
    }

    pub(crate) fn config(self) -> BreakerConfig {
        self.settings.config()
    }

    /// Takes in that the settings have changed.
    pub(crate) fn apply_settings(self) {
        if let Some(window) = self.core.window.get() {
            window.apply_settings(match self.settings.rules().policy {
                TripPolicy::Rates(rates) => Some(rates.span),
                TripPolicy::Consecutive { .. } => None,
            });
        }
        self.core.circuit.step(&self.observer(), |circuit| circuit.apply_settings(&self.settings.rules(), clock::now));
    }

    pub(crate) fn apply_override(self, manual_override: &Override) {
        let Override { action, expires_in, ref reason } = *manual_override;
        let now = clock::now();
        self.sync_clock(now);
        let until = expires_in.map(|expires_in| now.after(clock::micros(expires_in)));
        let observer = Publisher { note: reason.as_ref(), ..self.observer() };
        let rules = self.settings.rules();
        let held = self.core.circuit.step(&observer, |circuit| match action {
            Action::ForceOpen => circuit.force_open(until),
            Action::Disable => circuit.disable(until),
            Action::Reset => Some(circuit.reset(&rules)),
            Action::Open { failed } => circuit.open(until, failed, now),
            Action::Close => circuit.close(&rules, clock::now),
        });
        self.core.stamp_clock(now);
        // Held already, and now for another time or reason: that is no transition.
        let word = held.map_or_else(|| self.core.circuit.word(), Circuit::word);
        let same = match action {
            Action::ForceOpen => word.state() == BreakerState::ForcedOpen,
            Action::Disable => word.state() == BreakerState::Disabled,
            Action::Open { .. } => word.state() == BreakerState::Open,
            Action::Reset | Action::Close => false,
        };
        if same {
            self.core.set_note(word.epoch(), reason.as_ref());
        }
    }

    const fn observer(self) -> Publisher<'a, 'static> {
        Publisher { breaker: self, note: None }
    }
}
