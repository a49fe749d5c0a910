//! Transitions, made one at a time and each published before the next.

use std::sync::{Arc, atomic::Ordering};

use super::{BreakerRef, Failure};
use crate::{
    BreakerState, OpenReason,
    breaker::{
        HistoryEvent,
        state::{Circuit, atomic::TransitionObserver},
    },
    clock,
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
        if !swap() {
            return false;
        }
        if from.word().epoch() == to.word().epoch() {
            return true;
        }
        engine.set_operator_reason(to.word().epoch(), self.operator_reason);
        let now = clock::now();
        // The trial calls of an earlier round are still counted.
        if let (true, Some(in_flight)) = (before != after || after != BreakerState::HalfOpen, engine.in_flight.get()) {
            in_flight.forget(now.as_micros());
        }
        if before == after {
            return true;
        }
        let spent = self.breaker.spent(from, now);
        let history = engine.history();
        // ORDERING: Relaxed: read under the same lock, or by a rejection, which only reports it.
        history.changed_at.store(now.as_micros(), Ordering::Relaxed);
        engine.stamp_clock(now);
        history.transitions.fetch_add(1, Ordering::Relaxed);
        if is_opening || after == BreakerState::ForcedOpen {
            history.set_failure(error.clone(), now);
        }
        let reason = match after {
            BreakerState::Open => Some(to.reason().reason()),
            BreakerState::ForcedOpen => Some(OpenReason::Forced),
            _ => None,
        };
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
