//! Questions for Redis: a bounded number in flight, the others in a queue of breakers, each of them once.
//!
//! The queue holds breakers and not questions: a question is put when it is sent, so it is never out of date and its time-out starts then.

use std::{
    collections::{HashSet, VecDeque},
    hash::Hash,
};

use super::members::Id;

/// Questions in flight at once: enough to keep Redis busy, few enough for it to answer each in time, and a heartbeat among them.
const MOST_IN_FLIGHT: usize = 64;

/// Work that waits for a place.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Work {
    /// Put the question that a breaker has by then.
    Ask(Id),
    /// Report the failures of a breaker.
    Report(Id),
}

#[derive(Debug)]
pub(super) struct Queue {
    /// Breakers with a lease that lapses. They take turns with the others.
    urgent: Line,
    others: Line,
    is_turn_of_others: bool,
    in_flight: usize,
    /// In flight at once for now: fewer after answers that did not come in time.
    most: usize,
}

impl Default for Queue {
    fn default() -> Self {
        let (urgent, others) = (Line::default(), Line::default());
        Self { urgent, others, is_turn_of_others: false, in_flight: 0, most: MOST_IN_FLIGHT }
    }
}

#[derive(Debug, Default)]
struct Line {
    order: VecDeque<Work>,
    members: HashSet<Work>,
}

impl Queue {
    pub(super) const fn is_full(&self) -> bool {
        self.in_flight >= self.most
    }

    /// Adds work, unless it waits already.
    pub(super) fn push(&mut self, work: Work, is_urgent: bool) {
        if is_urgent { self.urgent.push(work) } else { self.others.push(work) }
    }

    /// Takes the next work if there is a place for it.
    pub(super) fn pop(&mut self) -> Option<Work> {
        if self.is_full() {
            return None;
        }
        let is_turn_of_others = self.is_turn_of_others;
        self.is_turn_of_others = !is_turn_of_others;
        if is_turn_of_others {
            self.others.pop().or_else(|| self.urgent.pop())
        } else {
            self.urgent.pop().or_else(|| self.others.pop())
        }
    }

    pub(super) const fn sent(&mut self) {
        self.in_flight += 1;
    }

    /// Frees a place. Where answers come late, fewer are asked for at once.
    pub(super) fn answered(&mut self, is_in_time: bool) {
        self.most = if is_in_time { (self.most + 1).min(MOST_IN_FLIGHT) } else { (self.most / 2).max(1) };
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// Forgets everything, as the connection is lost.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

impl Line {
    fn push(&mut self, work: Work) {
        if self.members.insert(work.clone()) {
            self.order.push_back(work);
        }
    }

    fn pop(&mut self) -> Option<Work> {
        let work = self.order.pop_front()?;
        self.members.remove(&work);
        Some(work)
    }
}

#[cfg(test)]
mod tests {
    use super::{MOST_IN_FLIGHT, Queue, Work};

    fn ask(number: usize) -> Work {
        Work::Ask(number.to_string().into())
    }

    #[test]
    fn each_waits_once_and_urgent_work_takes_turns_with_the_rest() {
        let mut queue = Queue::default();
        for number in [1, 2, 1, 3, 2] {
            queue.push(ask(number), false);
        }
        for number in [11, 12, 11] {
            queue.push(ask(number), true);
        }
        queue.push(Work::Report("1".into()), false);
        let order: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(order, [ask(11), ask(1), ask(12), ask(2), ask(3), Work::Report("1".into())]);
        queue.push(ask(1), false);
        assert_eq!(queue.pop(), Some(ask(1)), "once more after it was taken");
    }

    #[test]
    fn no_more_than_the_most_are_in_flight() {
        let mut queue = Queue::default();
        (0..1_000).for_each(|number| queue.push(ask(number), false));
        let mut sent = 0;
        while queue.pop().is_some() {
            queue.sent();
            sent += 1;
        }
        assert_eq!((sent, queue.is_full()), (MOST_IN_FLIGHT, true));
        queue.answered(true);
        assert_eq!(queue.pop(), Some(ask(MOST_IN_FLIGHT)));
        queue.sent();
        queue.answered(false);
        assert_eq!(queue.pop(), None, "fewer from now on");
        queue.clear();
        assert_eq!((queue.pop(), queue.is_full()), (None, false));
    }
}
