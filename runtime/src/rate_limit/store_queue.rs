//! The queue of calls that wait for an external store, and the last known state of the store: a plain value without a clock or a lock.

use std::collections::VecDeque;

use super::{
    Algorithm,
    counter::Limit,
    queue::{Queue, Wakers},
    settings::ActiveSettings,
    store_request::StoreRequest,
};

/// The largest number of waiters that send requests at the same time. Their number starts at one, rises by one with each admission, and
/// returns to one with a rejection. So a large limit is served in few round trips, and a small one does not make every waiter send a
/// request.
pub(super) const MAX_FRONT: usize = 64;

/// The calls that wait for capacity by the counts of a store.
#[derive(Debug)]
pub(super) struct StoreQueue {
    pub(super) queue: Queue,
    /// The number of waiters that may send requests at the same time.
    front: usize,
    /// The moment before which the store has no capacity under the settings in force for a call of [`full_for`](Self::full_for) permits,
    /// according to its last response.
    full_until: u64,
    /// The permits of the call that the store rejected last.
    full_for: u32,
    /// Requests in flight whose callers have given up.
    pub(super) orphaned: VecDeque<StoreRequest>,
    /// The admissions that passed to the first waiters, and that these have not taken yet: the permits of each, in the order of the waiters.
    granted: VecDeque<u32>,
}

impl StoreQueue {
    pub(super) const fn new() -> Self {
        Self {
            queue: Queue::new(),
            front: 1,
            full_until: 0,
            full_for: 1,
            orphaned: VecDeque::new(),
            granted: VecDeque::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Returns the number of waiters that may send requests at the same time. It is one while a waiter takes several permits: the store could
    /// otherwise admit lighter calls before it again and again.
    pub(super) const fn front(&self) -> usize {
        if self.queue.is_weighted() { 1 } else { self.front }
    }

    /// Returns the moment before which the store has no capacity for a call of `permits`, as far as is known.
    pub(super) const fn full_until(&self, permits: u32) -> u64 {
        if permits >= self.full_for { self.full_until } else { 0 }
    }

    /// Records that the store had no capacity. Returns the moment until which it has none; `None` if the response is for earlier settings.
    pub(super) fn on_rejected(&mut self, permits: u32, full_until: Option<u64>) -> Option<u64> {
        self.front = 1;
        (self.full_until, self.full_for) = (full_until?, permits);
        full_until
    }

    /// Records an admission of a waiter. Returns true if the waiter is admitted itself; false if the admission passes to the first waiter that
    /// has none yet, which waits for as many permits.
    pub(super) fn on_admitted(&mut self, ticket: u64, permits: u32, wakers: &mut Wakers) -> bool {
        self.front = (self.front + 1).min(MAX_FRONT);
        let next = self.granted.len();
        let is_own = self.queue.position_of(ticket) <= next || self.queue.permits_at(next) != Some(permits);
        if is_own {
            self.leave(ticket, wakers);
        } else {
            self.granted.push_back(permits);
        }
        self.queue.signal(self.front().max(self.granted.len()), wakers);
        is_own
    }

    /// Makes the waiters send requests again: the last response was for other settings, or by a different clock.
    pub(super) fn signal(&mut self, wakers: &mut Wakers) {
        (self.full_until, self.front) = (0, 1);
        self.queue.signal(self.front, wakers);
    }

    /// Checks, when a call arrives, that the first waiter still runs. The call itself may be rejected, and then makes no later check.
    pub(super) fn check_first(&mut self, now: u64, wakers: &mut Wakers) {
        if self.queue.len() > 0 {
            let due = self.full_until(self.queue.permits_at(0).unwrap_or(1));
            _ = self.queue.check_first(u64::MAX, due, now, wakers);
        }
    }

    /// Returns true if one of the admissions that passed to the first waiters is for this one.
    pub(super) fn is_granted(&self, ticket: u64, permits: u32) -> bool {
        // Read first: with no admission, the position is not computed.
        !self.granted.is_empty() && self.granted.get(self.queue.position_of(ticket)) == Some(&permits)
    }

    /// Takes the admission of a waiter that is [granted](Self::is_granted), and removes the waiter.
    pub(super) fn take_grant(&mut self, ticket: u64, wakers: &mut Wakers) {
        _ = self.granted.remove(self.queue.position_of(ticket));
        self.leave(ticket, wakers);
    }

    /// Removes a waiter, and signals those that move up.
    pub(super) fn leave(&mut self, ticket: u64, wakers: &mut Wakers) {
        self.queue.leave(ticket, self.front().max(self.granted.len()), wakers);
        self.granted.truncate(self.queue.len());
    }

    /// Keeps the request of a caller that gives up for the next waiter, if it is usable. Returns the requests that no waiter takes over.
    pub(super) fn hand_over(
        &mut self,
        request: Option<StoreRequest>,
        now: u64,
        version: u32,
        wakers: &mut Wakers,
    ) -> VecDeque<StoreRequest> {
        let is_kept = |request: &StoreRequest| request.is_usable(now, version) && self.orphaned.len() < MAX_FRONT;
        if self.queue.len() == 0 {
            let mut unused = std::mem::take(&mut self.orphaned);
            unused.extend(request);
            return unused;
        }
        match request {
            Some(request) if is_kept(&request) => {
                self.orphaned.push_back(request);
                self.queue.signal(self.front(), wakers);
                VecDeque::new()
            }
            request => request.into_iter().collect(),
        }
    }

    /// Returns the earliest moment at which the store may have capacity for a call of `permits` behind all waiters, if each of these
    /// is admitted. Other processes may take capacity and delay the call further.
    pub(super) fn earliest_start(&self, now: u64, permits: u32, settings: &ActiveSettings) -> u64 {
        let Limit { calls, per, burst } = settings.limit;
        // The next call to be admitted, whose permits are available at `full_until`.
        let next = self.queue.permits_at(0).unwrap_or(permits);
        let taken = self.queue.demand(settings.limit).permits.saturating_add(permits.into());
        let full_until = self.full_until(next).max(now);
        let spacing = match settings.algorithm {
            Algorithm::SlidingWindow => (taken.saturating_sub(1) / u64::from(calls)).saturating_mul(per),
            // One permit per interval; without a known backlog, only after a burst.
            Algorithm::Gcra => {
                let at_once = if full_until > now { next } else { burst };
                let later = u128::from(taken.saturating_sub(at_once.into()));
                u64::try_from(later * u128::from(per) / u128::from(calls)).unwrap_or(u64::MAX)
            }
        };
        full_until.saturating_add(spacing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(permits: &[u32]) -> StoreQueue {
        let mut store_queue = StoreQueue::new();
        for permits in permits {
            let ticket = store_queue.queue.issue_ticket();
            store_queue.queue.join(ticket, *permits);
        }
        store_queue
    }

    fn on_admitted(store_queue: &mut StoreQueue, ticket: u64, permits: u32) -> bool {
        store_queue.on_admitted(ticket, permits, &mut Wakers::default())
    }

    #[test]
    fn one_waiter_sends_requests_while_one_takes_several_permits() {
        let mut store_queue = queue(&[1, 1, 1, 3]);
        for ticket in [1, 2] {
            assert!(on_admitted(&mut store_queue, ticket, 1));
            assert_eq!(store_queue.front(), 1);
        }
        store_queue.leave(4, &mut Wakers::default());
        assert_eq!((store_queue.front(), store_queue.len()), (3, 1), "two admissions");
    }

    #[test]
    fn an_admission_passes_to_the_first_waiter_for_as_many_permits() {
        for (permits, expected) in
            [([1, 1, 1], [true, false, false]), ([2, 2, 1], [false, false, false]), ([2, 1, 1], [false; 3])]
        {
            let mut store_queue = queue(&permits);
            let is_own = on_admitted(&mut store_queue, 3, permits[2]);
            assert_eq!(is_own, !expected[0], "{permits:?}");
            let granted =
                [1_u32, 2, 3].map(|ticket| store_queue.is_granted(u64::from(ticket), permits[ticket as usize - 1]));
            assert_eq!(granted, expected, "{permits:?}");
        }
        // The next admission passes to the next waiter; a waiter for another number of permits that returns ahead does not take it.
        let mut store_queue = queue(&[3, 1, 1]);
        store_queue.leave(1, &mut Wakers::default());
        assert!(!on_admitted(&mut store_queue, 3, 1));
        store_queue.queue.join(1, 3);
        assert_eq!(
            [(1, 3), (2, 1), (3, 1)].map(|(ticket, permits)| store_queue.is_granted(ticket, permits)),
            [false; 3]
        );
        store_queue.leave(1, &mut Wakers::default());
        assert!(store_queue.is_granted(2, 1));
        store_queue.take_grant(2, &mut Wakers::default());
        assert!(!store_queue.is_granted(3, 1));
    }

    #[test]
    fn a_rejection_is_for_as_many_permits_or_more() {
        let mut store_queue = queue(&[]);
        assert_eq!(store_queue.on_rejected(3, Some(9_000)), Some(9_000));
        assert_eq!([1, 2, 3, 4].map(|permits| store_queue.full_until(permits)), [0, 0, 9_000, 9_000]);
        assert_eq!(store_queue.on_rejected(1, None), None);
        assert_eq!(store_queue.full_until(3), 9_000, "a response for earlier settings");
    }
}
