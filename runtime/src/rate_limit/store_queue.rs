//! The queue of calls that wait for an external store, and the last known state of the store: a plain value without a clock or a lock.

use std::collections::VecDeque;

use super::{
    Algorithm,
    queue::{Position, Queue, Wakers},
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
    pub(super) front: usize,
    /// The moment before which the store has no capacity under the settings in force, according to its last response.
    pub(super) full_until: u64,
    /// Requests in flight whose callers have given up.
    pub(super) orphaned: VecDeque<StoreRequest>,
    /// The number of admissions that passed to the first waiters, and that these have not taken yet.
    pub(super) granted: usize,
}

impl StoreQueue {
    pub(super) const fn new() -> Self {
        Self { queue: Queue::new(), front: 1, full_until: 0, orphaned: VecDeque::new(), granted: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Makes the waiters send requests again: the last response was for other settings, or by a different clock.
    pub(super) fn signal(&mut self, wakers: &mut Wakers) {
        (self.full_until, self.front) = (0, 1);
        self.queue.signal(self.front, wakers);
    }

    /// Checks, when a call arrives, that the first waiter still runs. The call itself may be rejected, and then makes no later check.
    pub(super) fn check_first(&mut self, now: u64, wakers: &mut Wakers) {
        if self.queue.len() > 0 {
            _ = self.queue.check_first(u64::MAX, self.full_until, now, wakers);
        }
    }

    /// Returns true if one of the admissions that passed to the first waiters is for this one.
    pub(super) fn is_granted(&self, ticket: u64) -> bool {
        self.granted > 0 && self.queue.position(ticket, self.granted) == Position::Front
    }

    /// Removes a waiter, and signals those that move up.
    pub(super) fn leave(&mut self, ticket: u64, wakers: &mut Wakers) {
        self.queue.leave(ticket, self.front.max(self.granted), wakers);
        self.granted = self.granted.min(self.queue.len());
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
                self.queue.signal(self.front, wakers);
                VecDeque::new()
            }
            request => request.into_iter().collect(),
        }
    }

    /// Returns the earliest moment at which the store may have capacity for a call behind all waiters, if each of these is admitted. Other
    /// processes may take capacity and delay the call further.
    pub(super) fn earliest_start(&self, now: u64, settings: &ActiveSettings) -> u64 {
        let (calls, per) = (u64::from(settings.limit.calls), settings.limit.per);
        let ahead = u64::try_from(self.queue.len()).unwrap_or(u64::MAX);
        let spacing = match settings.algorithm {
            Algorithm::SlidingWindow => (ahead / calls).saturating_mul(per),
            // One call per interval; without a known backlog, only after a burst.
            Algorithm::Gcra => {
                let ahead = if self.full_until > now { ahead } else { (ahead + 1).saturating_sub(calls) };
                u64::try_from(u128::from(ahead) * u128::from(per) / u128::from(calls)).unwrap_or(u64::MAX)
            }
        };
        self.full_until.max(now).saturating_add(spacing)
    }
}
