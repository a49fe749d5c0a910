//! What there is to do, by what is known.

use steadfast::BreakerState;
use tokio::time::Instant;

use super::{Act, Claim, Lease, Local, Member, Question, Step, Times, view::View};

/// The number of leases after which an instance yields to any other that has a claim, whether trial calls are under way or none came.
const MOST_LEASES: u32 = 10;

impl Lease {
    fn is_long(&self, now: Instant, times: &Times) -> bool {
        now >= self.since + MOST_LEASES * times.lease
    }
}

impl Member {
    /// What to do to the circuit now, or what to ask.
    pub(crate) fn decide(&mut self, local: &Local, online: bool, now: Instant, times: &Times) -> Step {
        let trial_successes = (local.state == BreakerState::HalfOpen).then_some(local.trial_successes);
        if let Some(lease) = self.lease.as_mut().filter(|lease| lease.trial_successes != trial_successes) {
            (lease.trial_successes, lease.since) = (trial_successes, now);
        }
        if let Some(act) = self.act(local, online && !self.reads, now, times) {
            return Step::Act(act);
        }
        let is_due = self.asks_at.is_none_or(|at| at <= now);
        if !online || !is_due || self.asked.is_some() {
            return Step::Rest;
        }
        let question = if self.reads { Some(Question::Read) } else { self.question(local, now, times) };
        question.map_or(Step::Rest, Step::Ask)
    }

    fn act(&mut self, local: &Local, online: bool, now: Instant, times: &Times) -> Option<Act> {
        if let Some(act) = self.order(local, now, times) {
            return Some(act);
        }
        if self.view.is_order(now) {
            return None;
        }
        let Some((until, failed)) = self.view.rest(now) else {
            return match local.state {
                BreakerState::Open | BreakerState::HalfOpen if local.is_ours => Some(Act::Close),
                BreakerState::ForcedOpen | BreakerState::Disabled if local.is_ours => Some(Act::Reset),
                _ => None,
            };
        };
        if !online {
            return None;
        }
        let end = until.max(now) + times.grace;
        let is_held = local.is_ours && self.held == self.version;
        match (local.state, self.lease) {
            // It has closed since it was held: that is for Redis to hear.
            (BreakerState::Closed, _) if self.held == self.version => None,
            (BreakerState::Closed, _) => Some(self.hold(local, end, now, failed)),
            (BreakerState::Disabled, _) => local.is_ours.then_some(Act::Reset),
            (BreakerState::ForcedOpen, _) if !local.is_ours => None,
            // Trial calls may be made, and are under way, or have failed; or none was made in time.
            (state, Some(lease)) if now < lease.until => {
                let is_to_go =
                    is_held && state != BreakerState::HalfOpen && self.hold_ends.is_some_and(|ends| ends > now);
                is_to_go.then(|| self.hold_on(local, now, now, failed))
            }
            (_, Some(lease)) => {
                (self.lease, self.asks_at) = (None, lease.is_last.then(|| now + times.lease));
                if lease.is_last {
                    // Its turn is over: it asks again for a call that comes from now on.
                    (self.counted, self.asks_unprompted) = (local.rejections, false);
                }
                Some(self.hold_on(local, end, now, failed))
            }
            (BreakerState::Open | BreakerState::ForcedOpen, None) if is_held => {
                let ends_soon = self.hold_ends.is_none_or(|ends| ends + times.grace / 2 < end);
                ends_soon.then(|| self.hold_on(local, end, now, failed))
            }
            _ => Some(self.hold(local, end, now, failed)),
        }
    }

    /// What an operator of the fleet wants, once.
    fn order(&mut self, local: &Local, now: Instant, times: &Times) -> Option<Act> {
        let act = match self.view {
            View::Forced { until } => {
                Act::ForceOpen { lasts: until.map(|until| until.saturating_duration_since(now) + times.grace) }
            }
            View::Disabled { until } => Act::Disable { lasts: until.map(|until| until.saturating_duration_since(now)) },
            View::Reset => Act::Reset,
            View::Closed | View::Open { .. } => return None,
        };
        if self.passed_on == self.version || self.version == 0 {
            return None;
        }
        self.passed_on = self.version;
        let is_order = self.view == View::Reset || self.view.is_order(now);
        if matches!(self.view, View::Forced { .. }) {
            (self.held, self.counted, self.asks_unprompted) = (self.version, local.rejections, false);
            self.hold_ends =
                if let View::Forced { until: Some(until) } = self.view { Some(until + times.grace) } else { None };
        }
        (is_order && !(act == Act::Reset && local.state == BreakerState::Closed)).then_some(act)
    }

    fn question(&self, local: &Local, now: Instant, times: &Times) -> Option<Question> {
        if self.restores {
            return Some(Question::Restore);
        }
        if self.view.is_order(now) {
            return None;
        }
        let rejections = local.rejections.saturating_sub(self.counted);
        let ask = |yields_above| Question::Ask { sent: now, claim: Claim { rejections, yields_above } };
        let announce = Question::Announce { transitions: local.transitions };
        let Some((until, _)) = self.view.rest(now) else {
            return match local.state {
                BreakerState::Open if !local.is_ours && self.announced != Some(local.transitions) => Some(announce),
                BreakerState::Closed if self.has_voted => Some(Question::Leave),
                _ => None,
            };
        };
        match (local.state, self.lease) {
            (BreakerState::Closed, _) => Some(Question::Close { seen: self.version }),
            (BreakerState::Open, Some(_)) if !local.is_ours => Some(announce),
            (BreakerState::HalfOpen, Some(lease)) => {
                let yields = lease.is_long(now, times);
                let is_due = lease.until - now < times.lease / 2 && !(yields && lease.is_last);
                is_due.then(|| ask(yields.then_some(0)))
            }
            // Until a call comes, for as long as no other instance has the better claim.
            (BreakerState::Open | BreakerState::ForcedOpen, Some(lease)) => {
                let is_due = lease.until - now < times.lease / 3 && !lease.is_last;
                is_due.then(|| ask(Some(if lease.is_long(now, times) { 0 } else { rejections })))
            }
            (BreakerState::Open | BreakerState::ForcedOpen, None) if local.is_ours => {
                let is_wanted = until <= now && (self.asks_unprompted || rejections > 0);
                is_wanted.then(|| ask(Some(rejections)))
            }
            _ => None,
        }
    }

    /// Holds the circuit open by this version.
    fn hold(&mut self, local: &Local, end: Instant, now: Instant, failed: u32) -> Act {
        if self.held != self.version {
            (self.held, self.counted) = (self.version, local.rejections);
        }
        self.hold_on(local, end, now, failed)
    }

    /// The same for another time, in the state in which it is held.
    fn hold_on(&mut self, local: &Local, end: Instant, now: Instant, failed: u32) -> Act {
        let lasts = end.saturating_duration_since(now);
        self.hold_ends = Some(now + lasts);
        match local.state {
            BreakerState::ForcedOpen => Act::ForceOpen { lasts: Some(lasts) },
            _ => Act::Hold { lasts, failed },
        }
    }
}
