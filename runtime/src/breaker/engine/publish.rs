//! A change of state: one at a time, published before the next.

use std::sync::{Arc, atomic::Ordering};

use super::BreakerRef;
use crate::{
    BreakerState, OpenReason,
    breaker::{
        HistoryEvent,
        state::{Circuit, atomic::TransitionObserver},
    },
    clock,
    events::{self, Event},
    key,
};

/// Makes transitions one at a time, and publishes what there is to say about each before the next.
#[derive(Clone, Copy)]
pub(super) struct Publisher<'a, 'n> {
    pub(super) breaker: BreakerRef<'a>,
    /// What the operator said.
    pub(super) note: Option<&'n Arc<str>>,
}

impl TransitionObserver for Publisher<'_, '_> {
    fn change(&self, from: Circuit, to: Circuit, swap: &mut dyn FnMut() -> bool) -> bool {
        let BreakerRef { core, settings } = self.breaker;
        let mut hub = events::queue();
        if !swap() {
            return false;
        }
        if from.word().epoch() == to.word().epoch() {
            return true;
        }
        core.set_note(to.word().epoch(), self.note);
        let (before, after) = (from.word().state(), to.word().state());
        if before == after {
            return true;
        }
        let now = clock::now();
        let spent = self.breaker.spent(from, now);
        let history = core.history();
        // ORDERING: Relaxed: read under the same lock, or by a rejection for a human to read.
        history.changed_at.store(now.as_micros(), Ordering::Relaxed);
        core.stamp_clock(now);
        history.transitions.fetch_add(1, Ordering::Relaxed);
        let reason = match after {
            BreakerState::Open => Some(to.reason().reason()),
            BreakerState::ForcedOpen => Some(OpenReason::Forced),
            _ => None,
        };
        let operator_reason = self.note.cloned();
        let (key, overflow) = key::parts(core.key());
        let event = || Event::StateChanged {
            breaker: settings.name,
            key: key.clone(),
            overflow,
            from: before,
            to: after,
            reason,
            operator_reason: operator_reason.clone(),
        };
        hub.push(event);
        #[cfg(feature = "tracing")]
        let traced = events::tracing::info_enabled().then(event);
        let change = HistoryEvent::StateChanged { from: before, to: after, reason, operator_reason };
        history.change(now, spent, change);
        drop(hub);
        #[cfg(feature = "tracing")]
        if let Some(event) = traced {
            events::tracing::emit(&event);
        }
        events::deliver();
        true
    }

    fn prepare(&self, to: Circuit) {
        if let (BreakerState::Closed, Some(window)) = (to.word().state(), self.breaker.core.window.get()) {
            window.begin(to.word().epoch());
        }
    }
}
