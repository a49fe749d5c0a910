//! The waiters for capacity by the counts of a store, and what is known of those: a value, with no clock and no lock.

use std::collections::VecDeque;

use super::{
    Algorithm,
    limiter::Adopted,
    question::Question,
    queue::{Place, Queue, Wakers},
};

/// The most waiters that may ask the store at once. Their number begins at one, rises by one with each that is admitted, and is one again
/// after a refusal: so a large limit is served in a few ways to the store and back, and a small one does not make all waiters ask.
pub(super) const MOST_TURNS: usize = 64;

/// The waiters for capacity by the counts of a store.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) queue: Queue,
    /// The number of waiters that may ask at once.
    pub(super) turns: usize,
    /// The moment before which the store has no capacity under these settings, by its last answer.
    pub(super) full_until: u64,
    /// Questions under way whose callers have given up.
    pub(super) questions: VecDeque<Question>,
    /// Permits for so many of the first waiters.
    pub(super) granted: usize,
}

impl Line {
    pub(super) const fn new() -> Self {
        Self { queue: Queue::new(), turns: 1, full_until: 0, questions: VecDeque::new(), granted: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Lets the waiters ask again: the last answer was about other settings, or by another clock.
    pub(super) fn signal(&mut self, wakers: &mut Wakers) {
        (self.full_until, self.turns) = (0, 1);
        self.queue.signal(self.turns, wakers);
    }

    /// Looks after the first for a call that arrives: it may be rejected, so that nobody looks any more.
    pub(super) fn look_after_first(&mut self, now: u64, wakers: &mut Wakers) {
        if self.queue.len() > 0 {
            _ = self.queue.look_after_first(u64::MAX, self.full_until, now, wakers);
        }
    }

    pub(super) fn is_granted(&self, ticket: u64) -> bool {
        self.granted > 0 && self.queue.place(ticket, self.granted) == Place::Turn
    }

    /// Takes a waiter out, and signals those that come forward.
    pub(super) fn leave(&mut self, ticket: u64, wakers: &mut Wakers) {
        self.queue.leave(ticket, self.turns.max(self.granted), wakers);
        self.granted = self.granted.min(self.queue.len());
    }

    /// Keeps a question for the waiters, unless it is of no more use to them. Gives what nobody takes over.
    pub(super) fn hand_on(
        &mut self,
        question: Option<Question>,
        now: u64,
        version: u32,
        wakers: &mut Wakers,
    ) -> VecDeque<Question> {
        let is_kept = |question: &Question| question.is_of_use(now, version) && self.questions.len() < MOST_TURNS;
        if self.queue.len() == 0 {
            let mut left = std::mem::take(&mut self.questions);
            left.extend(question);
            return left;
        }
        match question {
            Some(question) if is_kept(&question) => {
                self.questions.push_back(question);
                self.queue.signal(self.turns, wakers);
                VecDeque::new()
            }
            question => question.into_iter().collect(),
        }
    }

    /// A moment before which the store has no capacity for a call behind all waiters, if each of those is made. Other processes may take
    /// capacity, so that it comes later.
    pub(super) fn earliest(&self, now: u64, adopted: &Adopted) -> u64 {
        let (calls, per) = (u64::from(adopted.limit.calls), adopted.limit.per);
        let ahead = u64::try_from(self.queue.len()).unwrap_or(u64::MAX);
        let spacing = match adopted.algorithm {
            Algorithm::SlidingWindow => (ahead / calls).saturating_mul(per),
            // One by one from a full bucket, and otherwise one by one after as many as it holds.
            Algorithm::Gcra => {
                let ahead = if self.full_until > now { ahead } else { (ahead + 1).saturating_sub(calls) };
                u64::try_from(u128::from(ahead) * u128::from(per) / u128::from(calls)).unwrap_or(u64::MAX)
            }
        };
        self.full_until.max(now).saturating_add(spacing)
    }
}
