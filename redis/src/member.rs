//! What one instance does about one breaker of the fleet: decisions, with no clock and no Redis.
//!
//! [`Member::decide`] compares what the fleet has agreed on with what the local circuit does, and says what to do to the circuit
//! and what to ask Redis. It goes by states and not by what led to them, so an event that is lost costs time and nothing else.
//!
//! **Invariant:** while the fleet is open, the local circuit is held open beyond the fleet's rest, and is let go only under the
//! lease. So one instance at a time makes trial calls: it has the lease from when it wants to make some, until it has made them or
//! another one wants to. A hold is no longer than the grace beyond what is known: without Redis it runs out, and the circuit recovers
//! by itself.
//!
//! **Invariant:** what an operator has done to the local circuit stays, until an operator of the fleet says something new.
//!
//! **Invariant:** one question at a time.

mod decide;
mod terms;
#[cfg(test)]
mod tests;
mod view;

use std::time::Duration;

use steadfast::BreakerState;
use tokio::time::Instant;

pub(crate) use self::terms::{Act, Claim, Local, Question, Step, Times};
use self::{terms::PREFIX, view::View};
use crate::answer::{Answer, Granted, Kind, Known};

/// The least time between two questions that are answered in the same way.
const SOON: Duration = Duration::from_millis(50);

/// A breaker, as this instance sees the fleet's.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools, reason = "facts that do not exclude one another")]
pub(crate) struct Member {
    view: View,
    /// Of the view; 0 before anything is known.
    version: u64,
    /// The version by which the local circuit was held last.
    held: u64,
    /// The version of the operator's word that was passed on last.
    passed_on: u64,
    hold_ends: Option<Instant>,
    lease: Option<Lease>,
    /// The local transition that Redis knows of.
    announced: Option<u64>,
    has_voted: bool,
    /// The local count of rejections above which a rejected call is a claim to the lease.
    counted: u64,
    /// The instance asks for the lease without a rejected call: its own calls found the service down.
    asks_unprompted: bool,
    asks_at: Option<Instant>,
    /// What is under way, and under which version it was asked.
    asked: Option<(Question, u64)>,
    /// Redis has lost what is known here, and is to be told.
    restores: bool,
    /// It may have missed something, and is to look before it does anything else.
    reads: bool,
    by: String,
    reason: String,
}

#[derive(Clone, Copy, Debug)]
struct Lease {
    /// The grant, the first trial call or the last success of one, whichever came last.
    since: Instant,
    until: Instant,
    /// Successful trial calls; `None` before the first one is made.
    trial_successes: Option<u32>,
    /// Another instance waits for it, with the better claim.
    is_last: bool,
}

impl Member {
    pub(crate) const fn new() -> Self {
        Self {
            view: View::Closed,
            version: 0,
            held: 0,
            passed_on: 0,
            hold_ends: None,
            lease: None,
            announced: None,
            has_voted: false,
            counted: 0,
            asks_unprompted: false,
            asks_at: None,
            asked: None,
            restores: false,
            reads: false,
            by: String::new(),
            reason: String::new(),
        }
    }

    /// Why it is in its state, for whoever reads it.
    pub(crate) fn reason(&self) -> String {
        match (self.reason.as_str(), self.by.as_str()) {
            ("", by) => format!("{PREFIX}{by}"),
            (reason, "") => format!("{PREFIX}{reason}"),
            (reason, by) => format!("{PREFIX}{reason}, {by}"),
        }
    }

    /// What Redis has lost: the state and its version.
    pub(crate) fn lost(&self, local: &Local, now: Instant) -> Known {
        let view = match self.view.rest(now) {
            // It has recovered by itself.
            Some(_) if local.state == BreakerState::Closed && !self.view.is_order(now) => View::Closed,
            _ => self.view,
        };
        let (kind, left, failed) = view.told(now);
        Known { version: self.version, kind, left, failed, by: self.by.clone(), reason: self.reason.clone() }
    }

    /// Whether an operator's word, the last thing heard, is in force.
    pub(crate) fn is_in_force(&self, now: Instant) -> Option<bool> {
        matches!(self.view, View::Forced { .. } | View::Disabled { .. }).then(|| self.view.is_order(now))
    }

    /// Whether time alone may change what there is to do.
    pub(crate) fn is_restless(&self, local: &Local) -> bool {
        let is_quiet =
            matches!(self.view, View::Closed | View::Reset) && self.lease.is_none() && !self.has_voted && !self.reads;
        !is_quiet || local.state != BreakerState::Closed
    }

    /// Returns whether this instance holds a lease, which lapses unless Redis hears of it in time.
    pub(crate) const fn is_urgent(&self) -> bool {
        self.lease.is_some()
    }

    /// Whether Redis has a vote or a lease of this instance.
    pub(crate) const fn is_engaged(&self) -> bool {
        self.has_voted || self.lease.is_some()
    }

    /// Takes in a message; true if it is news.
    pub(crate) fn hear(&mut self, known: Known, now: Instant) -> bool {
        let is_news = known.version > self.version;
        if is_news {
            self.learn(known, now);
        }
        is_news
    }

    /// Takes in the answer to the question that is under way; true if it is news.
    pub(crate) fn take(&mut self, answer: Answer, now: Instant, times: &Times) -> bool {
        let Some((question, version)) = self.asked.take() else { return false };
        let Answer { known, granted, lease_left, .. } = answer;
        let (kind, current) = (known.kind, known.version);
        // An answer is as old as its question. If nothing was heard meanwhile and it is still an older state, Redis has lost the
        // newer one: by a failover, or by a crash.
        let is_current = version == self.version;
        let is_lost = is_current && current < version;
        let is_new = current > self.version || (is_lost && kind == Kind::Missing);
        // Who comes when all is well need not be told that it was otherwise.
        let is_news =
            is_new && !(version == 0 && matches!(kind, Kind::Closed | Kind::Reset) && question == Question::Read);
        if is_new {
            self.learn(known, now);
        }
        match question {
            Question::Announce { transitions } => {
                (self.announced, self.has_voted, self.lease) = (Some(transitions), kind != Kind::Open, None);
                self.asks_unprompted |= kind == Kind::Open;
            }
            Question::Ask { sent, .. } => match granted {
                // For a state that is no more.
                Granted::Yes if current != self.version => {}
                Granted::Yes => {
                    // Shorter than Redis has it: counted from before it was asked, and clocks may differ by a little.
                    let until = sent + times.lease.mul_f64(0.9);
                    let new = Lease { since: sent, until, trial_successes: None, is_last: false };
                    self.lease = Some(self.lease.map_or(new, |lease| Lease { until, is_last: false, ..lease }));
                }
                Granted::ForTheLastTime => match &mut self.lease {
                    Some(lease) => lease.is_last = true,
                    None => self.asks_at = Some(now + times.lease),
                },
                // Not at once, even where the clock of Redis was set back and the rest is not over there.
                Granted::No => {
                    (self.lease, self.asks_at) = (None, (!self.reads).then(|| now + lease_left.max(SOON)));
                }
            },
            Question::Close { .. } => {
                (self.has_voted, self.lease) = (false, None);
                match kind {
                    Kind::Missing if is_current => self.view = View::Closed,
                    Kind::Closed | Kind::Reset | Kind::Missing => {}
                    Kind::Open | Kind::Forced | Kind::Disabled => self.asks_at = Some(now + SOON),
                }
            }
            Question::Leave => self.has_voted = false,
            Question::Read => self.reads = false,
            Question::Restore => self.restores = false,
        }
        if is_lost && !is_new {
            (self.restores, self.announced) = (true, None);
        }
        is_news
    }

    /// Notes that the question is under way.
    pub(crate) const fn ask(&mut self, question: Question) {
        self.asked = Some((question, self.version));
    }

    /// Takes in that the question was in vain. What led to it leads to it again, a little later.
    pub(crate) fn fail(&mut self, now: Instant, times: &Times) {
        (self.asked, self.asks_at) = (None, Some(now + times.again));
    }

    /// Takes in that Redis can't be reached: the circuit goes by itself.
    pub(crate) fn lose(&mut self) {
        (self.asked, self.lease, self.asks_at) = (None, None, None);
    }

    fn learn(&mut self, known: Known, now: Instant) {
        (self.lease, self.asks_at, self.restores) = (None, None, false);
        self.asks_unprompted = false;
        let Some(view) = View::of(&known, now) else {
            // Redis has lost it. An operator's word is said again, and a circuit that is open has to recover before it closes.
            self.restores = self.view.is_order(now);
            if !self.restores {
                (self.version, self.held) = (0, 0);
                if self.view.rest(now).is_none() {
                    self.view = View::Closed;
                }
            }
            return;
        };
        self.has_voted &= !matches!(view, View::Open { .. });
        (self.view, self.version, self.by, self.reason) = (view, known.version, known.by, known.reason);
    }

    /// Looks what the state is, before it does anything else.
    pub(crate) const fn read(&mut self) {
        (self.reads, self.asks_at) = (true, None);
    }
}
