use std::sync::Arc;

use crate::{breaker::outage::StoredOutage, clock::Moment};

/// The details of the state that do not fit into numbers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Details {
    /// The epoch to which the reason belongs, and the operator's reason for the override that began it.
    pub(super) operator_reason: (u32, Option<Arc<str>>),
    /// The text of the failure that opened the circuit last, with the moment of the opening.
    pub(crate) failure: Option<(Arc<str>, Moment)>,
    /// The outage that has not ended yet.
    pub(crate) outage: Option<StoredOutage>,
}

impl Details {
    /// The reason that was given for the override that began `epoch`.
    pub(crate) fn operator_reason(&self, epoch: u32) -> Option<Arc<str>> {
        let (of_epoch, reason) = &self.operator_reason;
        if *of_epoch == epoch { reason.clone() } else { None }
    }

    /// Moves the moments that are later than `now` to it: the clock is a different one.
    pub(crate) fn rebase(&mut self, now: Moment) {
        if let Some((_, at)) = &mut self.failure {
            *at = now.min(*at);
        }
        if let Some(outage) = &mut self.outage {
            outage.since = now.min(outage.since);
        }
    }

    pub(crate) fn set_operator_reason(&mut self, epoch: u32, reason: Option<&Arc<str>>) {
        self.operator_reason = (epoch, reason.cloned());
    }
}

/// The effect of a transition on the text of the failure that opened the circuit last.
#[derive(Clone, Copy, Debug)]
pub(crate) enum FailureChange<'e> {
    /// The transition does not open the circuit.
    Kept,
    /// The transition opens the circuit, because of a failure with this text or of something else.
    ReplacedBy(Option<&'e Arc<str>>),
}
