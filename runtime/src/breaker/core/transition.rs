//! A change of state: one at a time, published before the next.

use std::sync::{Arc, atomic::Ordering};

use super::View;
use crate::{
    breaker::{BreakerState, Happening, OpenReason, cause::Why, shared::Witness, word::Word},
    clock,
    events::{self, Event},
    key,
};

/// Makes transitions one at a time, and publishes what there is to say about each before the next.
#[derive(Clone, Copy)]
pub(super) struct Publisher<'a, 'n> {
    pub(super) view: View<'a>,
    /// What opens the circuit, where that is not to be seen from the word.
    pub(super) cause: Option<OpenReason>,
    /// What the operator said.
    pub(super) note: Option<&'n Arc<str>>,
}

impl Witness for Publisher<'_, '_> {
    fn transition(&self, from: Word, to: Word, swap: &mut dyn FnMut() -> bool) -> bool {
        let View { core, settings } = self.view;
        let mut hub = events::hub();
        if !swap() {
            return false;
        }
        let (before, after) = (from.state(), to.state());
        let in_a_row = OpenReason::ConsecutiveFailures { failures: from.failures().saturating_add(1) };
        let cause = match (before, after) {
            (BreakerState::Closed, BreakerState::Open) => Some(self.cause.unwrap_or(in_a_row)),
            (_, BreakerState::Open) => self.cause,
            _ => None,
        };
        let cause = cause.map(Why::of);
        if let Some(why) = cause {
            core.cause.publish(to.epoch(), why);
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
            (_, BreakerState::Open) if cause.is_some() => cause.map(Why::reason),
            (BreakerState::HalfOpen, BreakerState::Open) => Some(OpenReason::TrialFailed),
            (_, BreakerState::ForcedOpen) => Some(OpenReason::Forced),
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
