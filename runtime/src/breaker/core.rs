//! What a breaker does with a call: the steps of [`word`](super::word), and all that goes with them.
//!
//! A call goes through [`admit`] and [`settle`]; whichever of them changes the state does so by [`transition`]. [`report`] tells.

mod admit;
mod clocks;
mod report;
mod settle;
#[cfg(feature = "keyed")]
mod standing;
mod transition;

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU32, AtomicU64, Ordering},
};

use once_cell::race::OnceBox;

use self::transition::Publisher;
use super::{
    BreakerConfig, BreakerState, Intervention, OpenReason,
    cause::Cause,
    history::History,
    intervention::Action,
    rules::Rules,
    settings::Settings,
    shared::SharedWord,
    window::Window,
    word::{MAX_HOLD, MAX_REST, Word},
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
    word: SharedWord,
    totals: Totals,
    /// Only a breaker by rates has one.
    window: OnceBox<Window>,
    cause: Cause,
    /// The moment of the last transition, in microseconds; 0 before the first.
    changed_at: AtomicU64,
    /// The latest of the moments that the word goes by, in microseconds; 0 before the first.
    dated_at: AtomicU64,
    transitions: AtomicU32,
    /// What an operator said, and in which epoch that holds.
    note: OnceBox<Mutex<(u16, Option<Arc<str>>)>>,
    /// What has happened of late; nothing as long as it has always been closed.
    history: OnceBox<History>,
    key: Option<Key>,
}

/// A breaker, wherever its settings are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    core: &'a Core,
    settings: &'a Settings,
}

impl Core {
    pub(crate) const fn new(rules: &Rules, totals: Totals, key: Option<Key>) -> Self {
        Self {
            word: SharedWord::new(Word::new(rules)),
            totals,
            window: OnceBox::new(),
            cause: Cause::new(),
            changed_at: AtomicU64::new(0),
            dated_at: AtomicU64::new(0),
            transitions: AtomicU32::new(0),
            note: OnceBox::new(),
            history: OnceBox::new(),
            key,
        }
    }

    pub(crate) fn state(&self) -> BreakerState {
        self.word.load().state()
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
        // ORDERING: Relaxed: whoever needs it exact holds the lock under which it is written.
        match self.changed_at.load(Ordering::Relaxed) {
            0 => Moment::ORIGIN,
            changed_at => Moment::from_micros(changed_at),
        }
    }

    /// What an operator said about the state that it is in since `epoch`.
    fn note(&self, epoch: u16) -> Option<Arc<str>> {
        let note = self.note.get()?.lock().unwrap_or_else(PoisonError::into_inner);
        if note.0 == epoch { note.1.clone() } else { None }
    }

    fn set_note(&self, epoch: u16, reason: Option<&Arc<str>>) {
        if reason.is_some() || self.note.get().is_some() {
            let note = self.note.get_or_init(Box::default);
            *note.lock().unwrap_or_else(PoisonError::into_inner) = (epoch, reason.cloned());
        }
    }
}

impl<'a> View<'a> {
    #[inline]
    pub(crate) const fn new(core: &'a Core, settings: &'a Settings) -> Self {
        Self { core, settings }
    }

    pub(crate) const fn name(self) -> &'static str {
        self.settings.name
    }

    pub(crate) fn config(self) -> BreakerConfig {
        self.settings.config()
    }

    /// Takes in that the settings have changed.
    pub(crate) fn adopt(self) {
        self.go_by(clock::now());
        self.core.word.step(&self.witness(), |word| word.adopt(&self.settings.rules(), clock::now));
    }

    pub(crate) fn intervene(self, intervention: &Intervention) {
        let Intervention { action, expires_in, ref reason } = *intervention;
        let (most, cause) = match action {
            Action::Open { .. } => (MAX_REST, Some(OpenReason::Intervention)),
            _ => (MAX_HOLD, None),
        };
        let now = clock::now();
        self.go_by(now);
        let until = expires_in.map(|expires_in| now.after(clock::micros(expires_in).min(most)));
        let witness = Publisher { cause, note: reason.as_ref(), ..self.witness() };
        let rules = self.settings.rules();
        let held = self.core.word.step(&witness, |word| match action {
            Action::ForceOpen => word.force_open(until),
            Action::Disable => word.disable(until),
            Action::Reset => Some(word.reset(&rules)),
            Action::Open { failed } => word.open(until, failed, now),
            Action::Close => word.close(&rules, clock::now),
        });
        self.core.date(now);
        // Held already, and now for another time or reason: that is no transition.
        let word = held.unwrap_or_else(|| self.core.word.load());
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

    const fn witness(self) -> Publisher<'a, 'static> {
        Publisher { view: self, cause: None, note: None }
    }
}
