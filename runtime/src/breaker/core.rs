//! What a breaker does with a call: the steps of [`word`](super::word), and all that goes with them.

mod clocks;

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use once_cell::race::OnceBox;

#[cfg(any(feature = "metrics", feature = "prometheus-client"))]
use super::history::{Tally, index};
use super::{
    BreakerConfig, BreakerState, CircuitOpen, Happening, Incident, Intervention, Limits, OpenReason, Snapshot,
    cause::Cause,
    history::History,
    intervention::Action,
    rejection::Wait,
    rules::{Policy, Rates, Rules, Span},
    settings::Settings,
    shared::{SharedWord, Witness},
    snapshot::WindowSnapshot,
    window::{Counts, Record, Trip, Window},
    word::{MAX_HOLD, MAX_REST, Outcome, Refusal, Ticket, Word},
};
#[cfg(any(feature = "keyed", feature = "metrics", feature = "prometheus-client"))]
use crate::totals::Sums;
use crate::{
    clock::{self, Moment},
    events::{self, Event},
    random,
    totals::{Count, Totals},
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
    key: Option<Arc<str>>,
}

/// A breaker, wherever its settings are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    core: &'a Core,
    settings: &'a Settings,
}

impl Core {
    pub(crate) const fn new(rules: &Rules, totals: Totals, key: Option<Arc<str>>) -> Self {
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

    /// Whether failures in a row are counted; those in a window aren't looked at.
    #[cfg(feature = "keyed")]
    pub(crate) fn has_failures(&self) -> bool {
        self.word.load().failures() > 0
    }

    #[cfg(any(feature = "keyed", feature = "metrics", feature = "prometheus-client"))]
    pub(crate) fn sums(&self) -> Sums {
        self.totals.sums()
    }

    pub(crate) const fn key(&self) -> Option<&Arc<str>> {
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

    /// How often and how long it was in each state, until now.
    #[cfg(any(feature = "metrics", feature = "prometheus-client"))]
    pub(crate) fn tally(&self) -> Tally {
        // No transition is under way meanwhile.
        let at_rest = events::hub();
        let mut tally = self.history.get().map(History::tally).unwrap_or_default();
        let stay = clock::now().since(self.since());
        tally.spent[index(self.state())] += clock::micros(stay);
        drop(at_rest);
        tally
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

    #[inline]
    pub(crate) fn admit(self) -> Result<Ticket, CircuitOpen> {
        let word = self.core.word.load();
        if word.admits_freely() {
            return Ok(word.free_ticket());
        }
        self.admit_guarded()
    }

    #[cold]
    fn admit_guarded(self) -> Result<Ticket, CircuitOpen> {
        let now = clock::now();
        self.go_by(now);
        self.reject_at_once(now).map_or_else(|| self.admit_by_rules(now), Err)
    }

    /// The rejection by a circuit that rests for the first time, which is what most rejections are.
    fn reject_at_once(self, now: Moment) -> Option<CircuitOpen> {
        let word = self.core.word.load();
        let wait = word.first_rest_left(self.settings.rest_alone()?, now)?;
        let reason = self.core.cause.of(word.epoch())?;
        self.count_rejection(reason, now);
        Some(self.rejection(word, Refusal::Open { wait, after_trial: false }, reason, now))
    }

    fn admit_by_rules(self, now: Moment) -> Result<Ticket, CircuitOpen> {
        loop {
            let rules = self.settings.rules();
            match self.core.word.acquire(&self.witness(), |word| word.admit(&rules, now, random::up_to)) {
                Ok(ticket) => {
                    if ticket.is_trial() {
                        self.core.date(now);
                        self.core.history().trial();
                    }
                    let timed = rules.slow_call().is_some();
                    return Ok(if timed { ticket.timed(now.as_micros()) } else { ticket });
                }
                Err((word, refusal)) => {
                    let Some(reason) = self.reason(word, refusal) else { continue };
                    self.count_rejection(reason, now);
                    if rules.observe_only {
                        return Ok(Ticket::UNADMITTED);
                    }
                    return Err(self.rejection(word, refusal, reason, now));
                }
            }
        }
    }

    fn count_rejection(self, reason: OpenReason, now: Moment) {
        self.core.totals.add(Count::Rejection);
        self.core.history().rejection(now, reason);
    }

    /// Why the call is refused; `None` if the circuit is in another state by now.
    fn reason(self, word: Word, refusal: Refusal) -> Option<OpenReason> {
        match refusal {
            Refusal::Open { after_trial: true, .. } => Some(OpenReason::TrialFailed),
            Refusal::TrialsTaken { .. } => Some(OpenReason::TrialsUnderWay),
            Refusal::Ramp { .. } => Some(OpenReason::RampingUp),
            Refusal::Forced { .. } => Some(OpenReason::Forced),
            Refusal::Open { after_trial: false, .. } => self.cause(word.epoch()),
        }
    }

    /// The rule that led to `epoch`, if that is not over.
    fn cause(self, epoch: u16) -> Option<OpenReason> {
        self.core.cause.of(epoch).or_else(|| {
            // Whoever made the transition publishes the cause before letting go of the lock.
            let _published = events::hub();
            self.core.cause.of(epoch)
        })
    }

    /// What the caller gets, told to whoever listens.
    fn rejection(self, word: Word, refusal: Refusal, reason: OpenReason, now: Moment) -> CircuitOpen {
        // ORDERING: Relaxed: for a human to read.
        let changed_at = self.core.changed_at.load(Ordering::Relaxed);
        let wait = match refusal {
            Refusal::Open { wait, .. } | Refusal::TrialsTaken { wait } | Refusal::Ramp { wait } => Some(wait),
            Refusal::Forced { wait } => wait,
        };
        let rejection = CircuitOpen {
            name: self.settings.name,
            key: self.core.key.clone(),
            reason,
            note: if matches!(reason, OpenReason::Forced | OpenReason::Intervention) {
                self.core.note(word.epoch())
            } else {
                None
            },
            elapsed: Wait::new((changed_at != 0).then(|| now.as_micros().saturating_sub(changed_at))),
            retry_after: Wait::new(wait),
        };
        events::tell(|| Event::CallRejected { rejection: rejection.clone() });
        rejection
    }

    #[inline]
    pub(crate) fn succeed(self, ticket: Ticket) {
        self.core.totals.add(Count::Success);
        if !self.core.word.load().is_calm() {
            self.settle_counted(ticket, Outcome::Success);
        }
    }

    /// A call that has failed, or says nothing.
    #[cold]
    pub(crate) fn fail(self, ticket: Ticket, is_neutral: bool) {
        let (count, outcome) =
            if is_neutral { (Count::Neutral, Outcome::Neutral) } else { (Count::Failure, Outcome::Failure) };
        self.core.totals.add(count);
        self.settle_counted(ticket, outcome);
    }

    #[inline(never)]
    fn settle_counted(self, ticket: Ticket, outcome: Outcome) {
        let word = self.core.word.load();
        if !word.gave(ticket) {
            return;
        }
        if outcome == Outcome::Success
            && word.is_calm_by_window()
            && let Some(span) = self.settings.span_alone()
        {
            return self.take_in(Record { failed: false, slow: false }, ticket, span);
        }
        let rules = self.settings.rules();
        let outcome = match (word.state(), rules.policy) {
            (BreakerState::Closed, Policy::Rates(rates)) => {
                if outcome != Outcome::Neutral && self.record(&rates, ticket, outcome) {
                    return;
                }
                outcome
            }
            (BreakerState::HalfOpen, Policy::Rates(rates)) if outcome == Outcome::Success => {
                if is_slow(&rates, ticket) { Outcome::Failure } else { outcome }
            }
            _ => outcome,
        };
        self.core.word.step(&self.witness(), |word| word.settle(ticket, outcome, &rules, clock::now));
    }

    /// Counts a call in the window; true if that has opened the circuit.
    fn record(self, rates: &Rates, ticket: Ticket, outcome: Outcome) -> bool {
        let record = Record { failed: outcome == Outcome::Failure, slow: is_slow(rates, ticket) };
        self.take_in(record, ticket, rates.span);
        if !record.is_held_against() {
            return false;
        }
        let counts = self.core.window.get().map(|window| window.counts(ticket.epoch(), rates.span, clock::now_micros));
        let Some(trip) = rates.judge(counts.unwrap_or_default()) else { return false };
        let witness = Publisher { trip: Some(trip), ..self.witness() };
        let tripped = self.core.word.step(&witness, |word| word.trip(ticket, clock::now()));
        tripped.is_some()
    }

    #[inline]
    fn take_in(self, record: Record, ticket: Ticket, span: Span) {
        let window = self.core.window.get_or_init(Box::default);
        window.record(record, ticket.epoch(), span, clock::now_micros, || self.core.word.load().gave(ticket));
    }

    /// How much longer calls are rejected; `None` if they aren't, or if only an operator knows.
    pub(crate) fn open_for(self) -> Option<Duration> {
        let word = self.core.word.load();
        let is_open = matches!(word.state(), BreakerState::Open | BreakerState::ForcedOpen);
        let left = if is_open { self.time_left(word, &self.settings.rules(), clock::now()) } else { None };
        left.map(Duration::from_micros)
    }

    pub(crate) fn intervene(self, intervention: &Intervention) {
        let Intervention { action, expires_in, ref reason } = *intervention;
        let (most, trip) = match action {
            Action::Open { .. } => (MAX_REST, Some(Trip::Intervention)),
            _ => (MAX_HOLD, None),
        };
        let now = clock::now();
        self.go_by(now);
        let until = expires_in.map(|expires_in| now.after(clock::micros(expires_in).min(most)));
        let witness = Publisher { trip, note: reason.as_ref(), ..self.witness() };
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

    /// Takes in that the settings have changed.
    pub(crate) fn adopt(self) {
        self.go_by(clock::now());
        self.core.word.step(&self.witness(), |word| word.adopt(&self.settings.rules(), clock::now));
    }

    pub(crate) fn config(self) -> BreakerConfig {
        self.settings.config()
    }

    pub(crate) fn snapshot(self) -> Snapshot {
        let rules = self.settings.rules();
        loop {
            let now = clock::now();
            let (word, transitions, changed_at, cause, note) = {
                // No transition is under way meanwhile, and what the last one published is there.
                let _at_rest = events::hub();
                let (word, core) = (self.core.word.load(), self.core);
                // ORDERING: Relaxed: written under the same lock.
                let (transitions, changed_at) =
                    (core.transitions.load(Ordering::Relaxed), core.changed_at.load(Ordering::Relaxed));
                (word, transitions, changed_at, core.cause.of(word.epoch()), core.note(word.epoch()))
            };
            let (window, consecutive_failures) = match rules.policy {
                Policy::Rates(rates) => (Some(self.window(&rates, word)), 0),
                Policy::Consecutive { .. } => (None, word.failures()),
            };
            let sums = self.core.totals.sums();
            if self.core.word.load().epoch() != word.epoch() {
                continue;
            }
            let state = word.state();
            let left = self.time_left(word, &rules, now).map(Duration::from_micros);
            let age = (changed_at != 0).then(|| Duration::from_micros(now.as_micros().saturating_sub(changed_at)));
            let open_reason = match state {
                BreakerState::Open if word.failed_recoveries() > 0 => Some(OpenReason::TrialFailed),
                BreakerState::Open => cause,
                BreakerState::ForcedOpen => Some(OpenReason::Forced),
                _ => None,
            };
            return Snapshot {
                name: self.settings.name,
                key: self.core.key.clone(),
                state,
                consecutive_failures,
                window,
                trial_successes: u32::from(word.trial_successes()),
                successes: sums.get(Count::Success),
                failures: sums.get(Count::Failure),
                neutral: sums.get(Count::Neutral),
                rejections: sums.get(Count::Rejection),
                transitions: u64::from(transitions),
                last_transition: age.and_then(|age| SystemTime::now().checked_sub(age)),
                open_for: if state == BreakerState::Disabled { None } else { left },
                disabled_for: if state == BreakerState::Disabled { left } else { None },
                open_reason,
                failed_recoveries: u32::from(word.failed_recoveries()),
                operator_reason: note,
                limits: Limits::of(&rules),
            };
        }
    }

    pub(crate) fn recent(self) -> Vec<Incident> {
        self.core.history.get().map_or_else(Vec::new, |history| history.recent(clock::now()))
    }

    /// What is in the window. Only a closed circuit fills it.
    fn window(self, rates: &Rates, word: Word) -> WindowSnapshot {
        let closed = word.state() == BreakerState::Closed;
        let counts = match self.core.window.get() {
            Some(window) if closed => window.counts(word.epoch(), rates.span, clock::now_micros),
            _ => Counts::default(),
        };
        WindowSnapshot { calls: counts.calls, failures: counts.failed, slow: counts.slow }
    }

    const fn witness(self) -> Publisher<'a, 'static> {
        Publisher { view: self, trip: None, note: None }
    }
}

/// Makes transitions one at a time, and publishes what there is to say about each before the next.
#[derive(Clone, Copy)]
struct Publisher<'a, 'n> {
    view: View<'a>,
    /// The rule that was broken, where that is not to be seen from the word.
    trip: Option<Trip>,
    /// What the operator said.
    note: Option<&'n Arc<str>>,
}

impl Witness for Publisher<'_, '_> {
    fn transition(&self, from: Word, to: Word, swap: &mut dyn FnMut() -> bool) -> bool {
        let View { core, settings } = self.view;
        let mut hub = events::hub();
        if !swap() {
            return false;
        }
        let (before, after) = (from.state(), to.state());
        let in_a_row = Trip::Consecutive { failures: from.failures().saturating_add(1) };
        let trip = match (before, after) {
            (BreakerState::Closed, BreakerState::Open) => Some(self.trip.unwrap_or(in_a_row)),
            (_, BreakerState::Open) => self.trip,
            _ => None,
        };
        if let Some(trip) = trip {
            core.cause.publish(to.epoch(), trip);
        }
        core.set_note(to.epoch(), self.note);
        if before == after {
            return true;
        }
        let (now, since) = (clock::now(), core.since());
        // ORDERING: Relaxed: read under the same lock, or by a rejection for a human to read.
        core.changed_at.store(now.as_micros(), Ordering::Relaxed);
        core.date(now);
        core.transitions.fetch_add(1, Ordering::Relaxed);
        let reason = match (before, after) {
            (_, BreakerState::Open) if trip.is_some() => core.cause.of(to.epoch()),
            (BreakerState::HalfOpen, BreakerState::Open) => Some(OpenReason::TrialFailed),
            (_, BreakerState::ForcedOpen) => Some(OpenReason::Forced),
            _ => None,
        };
        let operator_reason = self.note.cloned();
        let event = || Event::StateChanged {
            breaker: settings.name,
            key: core.key.clone(),
            from: before,
            to: after,
            reason,
            operator_reason: operator_reason.clone(),
        };
        hub.push(event);
        #[cfg(feature = "tracing")]
        let traced = crate::trace::hears_of_changes().then(event);
        let change = Happening::StateChanged { from: before, to: after, reason, operator_reason };
        core.history().change(now, since, change);
        drop(hub);
        #[cfg(feature = "tracing")]
        if let Some(event) = traced {
            crate::trace::emit(&event);
        }
        events::deliver();
        true
    }
}

fn is_slow(rates: &Rates, ticket: Ticket) -> bool {
    rates.slow_call.is_some_and(|limit| ticket.age(clock::now().as_micros()).is_some_and(|age| age >= limit))
}
