//! The queue of requests to Redis: a bounded number is in flight, the others wait.
//!
//! The queue holds breakers, not requests. A request is built at the moment when it is sent, so it is never out of date, and its timeout
//! starts then.

use std::{
    collections::{HashSet, VecDeque},
    hash::Hash,
};

use super::members::BreakerId;

/// The maximum number of requests in flight: enough to keep Redis busy, few enough that each is answered in time, heartbeats included.
const MAX_IN_FLIGHT: usize = 64;

/// A breaker in the queue, with the kind of request to send.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum QueueItem {
    /// Send the request that is due for the breaker by then, if any.
    Request(BreakerId),
    /// Report the failures of the breaker.
    FailureReport(BreakerId),
}

#[derive(Debug)]
pub(super) struct Queue {
    /// Breakers with a lease, which lapses unless it is renewed in time. They alternate with the others.
    urgent: UniqueFifo,
    normal: UniqueFifo,
    is_turn_of_normal: bool,
    in_flight: usize,
    /// The current limit of requests in flight. It is halved for each request without a reply and grows by one with each reply.
    limit: usize,
}

impl Default for Queue {
    fn default() -> Self {
        let (urgent, normal) = (UniqueFifo::default(), UniqueFifo::default());
        Self { urgent, normal, is_turn_of_normal: false, in_flight: 0, limit: MAX_IN_FLIGHT }
    }
}

/// A FIFO queue that holds each item at most once.
#[derive(Debug, Default)]
struct UniqueFifo {
    items: VecDeque<QueueItem>,
    queued: HashSet<QueueItem>,
}

impl Queue {
    pub(super) const fn is_full(&self) -> bool {
        self.in_flight >= self.limit
    }

    /// Adds an item, unless it is queued already.
    pub(super) fn push(&mut self, item: QueueItem, is_urgent: bool) {
        if is_urgent { self.urgent.push(item) } else { self.normal.push(item) }
    }

    /// Takes the next item; `None` if the queue is empty or the limit is reached.
    pub(super) fn pop(&mut self) -> Option<QueueItem> {
        if self.is_full() {
            return None;
        }
        let is_turn_of_normal = self.is_turn_of_normal;
        self.is_turn_of_normal = !is_turn_of_normal;
        if is_turn_of_normal {
            self.normal.pop().or_else(|| self.urgent.pop())
        } else {
            self.urgent.pop().or_else(|| self.normal.pop())
        }
    }

    pub(super) const fn on_sent(&mut self) {
        self.in_flight += 1;
    }

    /// Records that a request in flight has completed, and adapts the limit.
    pub(super) fn on_completed(&mut self, has_reply: bool) {
        self.limit = if has_reply { (self.limit + 1).min(MAX_IN_FLIGHT) } else { (self.limit / 2).max(1) };
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// Restores the initial state: no items, no requests in flight, the initial limit. The requests in flight must have been aborted.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

impl UniqueFifo {
    fn push(&mut self, item: QueueItem) {
        if self.queued.insert(item.clone()) {
            self.items.push_back(item);
        }
    }

    fn pop(&mut self) -> Option<QueueItem> {
        let item = self.items.pop_front()?;
        self.queued.remove(&item);
        Some(item)
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_IN_FLIGHT, Queue, QueueItem};

    fn request(number: usize) -> QueueItem {
        QueueItem::Request(number.to_string().into())
    }

    #[test]
    fn items_are_unique_and_urgent_ones_alternate_with_the_others() {
        let mut queue = Queue::default();
        for number in [1, 2, 1, 3, 2] {
            queue.push(request(number), false);
        }
        for number in [11, 12, 11] {
            queue.push(request(number), true);
        }
        let report = || QueueItem::FailureReport("1".into());
        queue.push(report(), false);
        let order: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(order, [request(11), request(1), request(12), request(2), request(3), report()]);
        queue.push(request(1), false);
        assert_eq!(queue.pop(), Some(request(1)), "queued again after it was taken");
    }

    #[test]
    fn the_number_of_requests_in_flight_is_limited() {
        let mut queue = Queue::default();
        (0..1_000).for_each(|number| queue.push(request(number), false));
        let mut sent = 0;
        while queue.pop().is_some() {
            queue.on_sent();
            sent += 1;
        }
        assert_eq!((sent, queue.is_full()), (MAX_IN_FLIGHT, true));
        queue.on_completed(true);
        assert_eq!(queue.pop(), Some(request(MAX_IN_FLIGHT)));
        queue.on_sent();
        queue.on_completed(false);
        assert_eq!(queue.pop(), None, "the limit is halved");
        queue.clear();
        assert_eq!((queue.pop(), queue.is_full()), (None, false));
    }
}
