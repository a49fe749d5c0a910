//! Transitions, made one at a time and each published before the next.

use std::sync::{Arc, atomic::Ordering};

use super::{BreakerRef, Failure};
use crate::{
    BreakerState,
    breaker::{
        HistoryEvent,
        history::{Details, FailureChange},
        outage::{StoredOutage, opening_reason},
        state::{Circuit, atomic::TransitionObserver},
    },
    clock::{self, Moment},
    error_text::error_text,
    events::{self, Event},
    keyed_store::key,
};

/// The observer of a breaker's transitions. It makes them one at a time under the lock of the event queue, and publishes the history,
/// the reason and the event of each before the next.
#[derive(Clone, Copy)]
pub(super) struct Publisher<'a, 'n> {
    pub(super) breaker: BreakerRef<'a>,
    /// The reason that was given for the override that makes the transition.
    pub(super) operator_reason: Option<&'n Arc<str>>,
    /// The failure that makes the transition.
    pub(super) failure: Failure<'n>,
}

impl TransitionObserver for Publisher<'_, '_> {
    fn change(&self, from: Circuit, to: Circuit, swap: &mut dyn FnMut() -> bool) -> bool {
        let BreakerRef { engine, settings } = self.breaker;
        let (before, after) = (from.word().state(), to.word().state());
        // The error is formatted before the lock is taken, since its `Display` may call this breaker.
        let is_opening = after == BreakerState::Open && before != after;
        let error = if is_opening { self.failure.and_then(error_text) } else { None };
        let mut queue = events::queue();
        if before == after {
            return self.change_epoch(from, to, swap);
        }
        let (history, now) = (engine.history(), clock::now());
        let spent = self.breaker.spent(from, now);
        let opens = is_opening || after == BreakerState::ForcedOpen;
        let text = if opens { FailureChange::ReplacedBy(error.as_ref()) } else { FailureChange::Kept };
        let describe = |details: &mut Details| {
            details.set_operator_reason(to.word().epoch(), self.operator_reason);
            if let FailureChange::ReplacedBy(text) = text {
                details.failure = text.map(|text| (text.clone(), now));
            }
            details.outage = StoredOutage::after(details.outage.take(), from, to, now, error.as_ref());
        };
        if !history.change_details(now, text, describe, swap) {
            return false;
        }
        self.forget_in_flight(now);
        engine.stamp_clock(now);
        // ORDERING: Relaxed: read under the same lock.
        history.transitions.fetch_add(1, Ordering::Relaxed);
        let reason = opening_reason(to);
        let operator_reason = self.operator_reason.cloned();
        let (key, overflow) = key::parts(engine.key());
        let event = || Event::StateChanged {
            breaker: settings.name,
            key: key.clone(),
            overflow,
            from: before,
            to: after,
            reason,
            operator_reason: operator_reason.clone(),
            error: error.clone(),
        };
        queue.push(event);
        #[cfg(feature = "tracing")]
        let traced = events::tracing::changes_enabled().then(event);
        let change = HistoryEvent::StateChanged {
            from: before,
            to: after,
            reason,
            operator_reason: operator_reason.clone(),
            error: error.clone(),
        };
        history.record_change(now, spent, change);
        drop(queue);
        #[cfg(feature = "tracing")]
        if let Some(event) = traced {
            events::tracing::emit(&event);
        }
        events::deliver();
        true
    }

    fn prepare(&self, to: Circuit) {
        if let (BreakerState::Closed, Some(window)) = (to.word().state(), self.breaker.engine.window.get()) {
            window.reset(to.word().epoch());
        }
    }
}

impl Publisher<'_, '_> {
    /// Makes a change within a state. The caller holds the lock of transitions.
    fn change_epoch(&self, from: Circuit, to: Circuit, swap: &mut dyn FnMut() -> bool) -> bool {
        if !swap() {
            return false;
        }
        let (epoch, is_new) = (to.word().epoch(), from.word().epoch() != to.word().epoch());
        if is_new {
            self.breaker.engine.set_operator_reason(epoch, self.operator_reason);
            // The trial calls of an earlier round are still counted.
            if to.word().state() != BreakerState::HalfOpen {
                self.forget_in_flight(clock::now());
            }
        }
        true
    }

    /// Stops to count the calls of earlier epochs as in flight.
    fn forget_in_flight(&self, now: Moment) {
        if let Some(in_flight) = self.breaker.engine.in_flight.get() {
            in_flight.forget(now.as_micros());
        }
    }
}
