//! The FIFO queue of a rate limit: a plain value without a clock or a lock.
//!
//! The front of the queue consists of the first waiters, those that may act at the same time; a parameter `front` is their number. In a
//! queue for local counts, it is one. A waiter acts (takes capacity, or sends a request to a store) only when it runs; nothing is reserved
//! for it.
//!
//! **Invariant:** a waiter owns its position in the queue and nothing else. So when it gives up, nothing has to be returned, and the next
//! waiter is in the front at once.
//!
//! **Invariant:** a change of anything on which a waiter's decision depends (the settings, the counts, its position in the front) signals
//! it. A signal that arrives while the waiter does not sleep is kept: the next attempt to sleep returns at once.

use std::{
    collections::{
        BTreeMap,
        btree_map::{Entry, OccupiedEntry},
    },
    task::{Poll, Waker},
};

use super::counter::{Ahead, Limit};
use crate::panics::contain;

/// The grace period in microseconds: a waiter that is due has this time to run, and the same time again after a reminder. Then it is
/// skipped: it may be a future that is no longer polled, or a thread that is stopped. The period is much longer than a busy executor needs,
/// since skipping a waiter that would have run changes the order.
///
/// A waiter that skips another one reminds all waiters before itself, and later skips at once all those that have not responded. So
/// unresponsive waiters cost at most three grace periods in total, whatever their number.
pub(super) const GRACE: u64 = 500_000;

/// The waiters by their tickets, which rise in the order of arrival.
#[derive(Debug)]
pub(super) struct Queue {
    waiters: BTreeMap<u64, QueueEntry>,
    last_ticket: u64,
    /// The number of waiters that do not wait for exactly one permit.
    weighted: usize,
}

#[derive(Debug, Default)]
struct QueueEntry {
    permits: u32,
    /// Present while the waiter sleeps, or listens.
    waker: Option<Waker>,
    /// True if the waiter has to check again instead of sleeping.
    is_signalled: bool,
    /// The time of a reminder to which the waiter has not responded.
    reminded: Option<u64>,
}

/// The position of a waiter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Position {
    /// In the front: the waiter may act.
    Front,
    /// Behind the front.
    Behind,
}

impl Queue {
    pub(super) const fn new() -> Self {
        Self { waiters: BTreeMap::new(), last_ticket: 0, weighted: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.waiters.len()
    }

    /// Issues a ticket, with which the caller can join now or later.
    pub(super) fn issue_ticket(&mut self) -> u64 {
        self.last_ticket += 1;
        self.last_ticket
    }

    /// Returns the permits for which the waiters before this one wait; `u64::MAX` is behind all. A waiter that needs more permits than a call
    /// can take is left out: it is rejected when it runs.
    pub(super) fn ahead(&self, ticket: u64, limit: Limit) -> Ahead {
        if self.weighted == 0 {
            return Ahead { permits: self.position_of(ticket) as u64, each: Vec::new() };
        }
        let permits = self.waiters.range(..ticket).map(|(_, waiter)| waiter.permits);
        let each: Vec<_> = permits.filter(|permits| *permits <= limit.burst).collect();
        Ahead { permits: each.iter().copied().map(u64::from).sum(), each }
    }

    /// Returns the permits for which all waiters wait, as [`ahead`](Self::ahead) does.
    #[inline]
    pub(super) fn demand(&self, limit: Limit) -> Ahead {
        match self.weighted {
            0 => Ahead { permits: self.len() as u64, each: Vec::new() },
            _ => self.ahead(u64::MAX, limit),
        }
    }

    /// Returns true if a waiter does not wait for exactly one permit.
    #[cfg(feature = "tokio")]
    pub(super) const fn is_weighted(&self) -> bool {
        self.weighted > 0
    }

    /// Returns the number of permits for which the first waiter waits, at most the largest number that a call can take; 1 if there is none.
    pub(super) fn first_permits(&self, limit: Limit) -> u32 {
        self.permits_at(0).unwrap_or(1).min(limit.burst)
    }

    /// Returns the number of permits for which the waiter at this position waits.
    pub(super) fn permits_at(&self, position: usize) -> Option<u32> {
        self.waiters.values().nth(position).map(|waiter| waiter.permits)
    }

    /// Adds a waiter for `permits`, or records that it is about to check: earlier signals and reminders are cleared. A waiter that was
    /// skipped returns to its position.
    pub(super) fn join(&mut self, ticket: u64, permits: u32) {
        match self.waiters.entry(ticket) {
            Entry::Occupied(waiter) => {
                let waiter = waiter.into_mut();
                (waiter.is_signalled, waiter.reminded) = (false, None);
            }
            Entry::Vacant(position) => {
                position.insert(QueueEntry { permits, ..QueueEntry::default() });
                self.weighted += usize::from(permits != 1);
            }
        }
    }

    /// Removes a waiter. Signals the waiters that move up if it was in the front.
    pub(super) fn leave(&mut self, ticket: u64, front: usize, wakers: &mut Wakers) {
        let Some(waiter) = self.waiters.remove(&ticket) else { return };
        self.on_removed(waiter.permits);
        wakers.to_drop.extend(waiter.waker);
        if self.is_in_front(front, ticket) {
            self.signal(front, wakers);
        }
    }

    /// Signals the waiters in the front, and the first waiter behind it.
    pub(super) fn signal(&mut self, front: usize, wakers: &mut Wakers) {
        for waiter in self.waiters.values_mut().take(front.saturating_add(1)) {
            waiter.signal(wakers);
        }
    }

    pub(super) fn position(&self, ticket: u64, front: usize) -> Position {
        if self.is_in_front(front, ticket) { Position::Front } else { Position::Behind }
    }

    /// Returns the number of waiters that arrived before this one; `u64::MAX` is behind all.
    pub(super) fn position_of(&self, ticket: u64) -> usize {
        match self.waiters.last_key_value() {
            Some((last, _)) if *last == ticket => self.waiters.len() - 1,
            Some((last, _)) if *last > ticket => self.waiters.range(..ticket).count(),
            _ => self.waiters.len(),
        }
    }

    /// Updates the number of weighted waiters after the removal of one for `permits`.
    const fn on_removed(&mut self, permits: u32) {
        if permits != 1 {
            self.weighted = self.weighted.saturating_sub(1);
        }
    }

    /// Checks that the first waiter, which is due at `due`, still runs. Only waiters before `ticket`, that of the caller, are checked;
    /// `u64::MAX` is behind all. Returns the moment of the next check, if no signal comes earlier; `None` if waiters were skipped.
    pub(super) fn check_first(&mut self, ticket: u64, due: u64, now: u64, wakers: &mut Wakers) -> Option<u64> {
        let mut skipped = false;
        loop {
            let mut first = self.waiters.first_entry().filter(|first| *first.key() < ticket);
            match first.as_mut().map(OccupiedEntry::get_mut) {
                Some(waiter) if waiter.is_unresponsive(now) => {
                    waiter.signal(wakers);
                    let permits = waiter.permits;
                    self.waiters.pop_first();
                    self.on_removed(permits);
                    skipped = true;
                }
                // Others before this caller may be unresponsive as well.
                _ if skipped => {
                    for (_, waiter) in self.waiters.range_mut(..ticket) {
                        waiter.remind(now, wakers);
                    }
                    return None;
                }
                Some(waiter) if due <= now => return Some(waiter.remind(now, wakers).saturating_add(GRACE)),
                _ => return Some(due.saturating_add(GRACE)),
            }
        }
    }

    /// Registers a waker for the next signal, for a waiter that waits for the response to its request. Earlier signals are cleared. `waker`
    /// is as in [`sleep`](Self::sleep).
    #[cfg(feature = "tokio")]
    pub(super) fn listen(&mut self, ticket: u64, waker: &mut Option<Waker>) {
        if let Some(waiter) = self.waiters.get_mut(&ticket) {
            waiter.is_signalled = false;
            std::mem::swap(&mut waiter.waker, waker);
        }
    }

    fn is_in_front(&self, front: usize, ticket: u64) -> bool {
        self.waiters.keys().nth(front).is_none_or(|behind| ticket < *behind)
    }

    /// Sleeps until a signal. Takes the new `waker` and returns the previous one in its place.
    pub(super) fn sleep(&mut self, ticket: u64, waker: &mut Option<Waker>) -> Poll<()> {
        match self.waiters.get_mut(&ticket) {
            Some(waiter) if !waiter.is_signalled => {
                std::mem::swap(&mut waiter.waker, waker);
                Poll::Pending
            }
            _ => Poll::Ready(()),
        }
    }
}

impl QueueEntry {
    /// Signals the waiter, unless an earlier reminder is still unanswered. Returns the time of the unanswered reminder.
    fn remind(&mut self, now: u64, wakers: &mut Wakers) -> u64 {
        if self.reminded.is_none() {
            self.signal(wakers);
        }
        *self.reminded.get_or_insert(now)
    }

    /// Returns true if the waiter has not responded to a reminder in time. The difference is absolute, since by a different clock the
    /// reminder may be later than `now`.
    fn is_unresponsive(&self, now: u64) -> bool {
        self.reminded.is_some_and(|reminded| now.abs_diff(reminded) >= GRACE)
    }

    fn signal(&mut self, wakers: &mut Wakers) {
        self.is_signalled = true;
        wakers.to_wake.extend(self.waker.take());
    }
}

/// Wakers that were taken out under a lock, to be woken and dropped after it is released: both run code of an executor, which may drop
/// futures that wait in the same queue.
#[derive(Debug, Default)]
#[must_use = "a waiter that is not woken sleeps on"]
pub(super) struct Wakers {
    to_wake: Vec<Waker>,
    /// Wakers of waiters that have left.
    to_drop: Vec<Waker>,
}

impl Wakers {
    /// Wakes each waker, even if another one panics.
    #[inline]
    pub(super) fn wake(self) {
        // Most decisions wake no waiter.
        if !self.to_wake.is_empty() || !self.to_drop.is_empty() {
            self.wake_all();
        }
    }

    #[cold]
    fn wake_all(self) {
        for waker in self.to_wake {
            contain(|| waker.wake());
        }
        contain(|| drop(self.to_drop));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(waiters: u64) -> Queue {
        let mut queue = Queue::new();
        for _ in 0..waiters {
            let ticket = queue.issue_ticket();
            queue.join(ticket, 1);
        }
        queue
    }

    fn sleeps(queue: &mut Queue, ticket: u64) -> bool {
        queue.sleep(ticket, &mut Some(Waker::noop().clone())).is_pending()
    }

    fn woken(act: impl FnOnce(&mut Wakers)) -> usize {
        let mut wakers = Wakers::default();
        act(&mut wakers);
        wakers.to_wake.len()
    }

    #[test]
    fn waiters_that_move_up_are_signalled() {
        for (front, leaves, signalled) in
            [(1, 1, vec![2, 3]), (1, 2, vec![1, 3]), (1, 3, vec![]), (2, 3, vec![1, 2, 4]), (2, 4, vec![])]
        {
            let mut queue = queue(5);
            assert!((1..=5).all(|ticket| sleeps(&mut queue, ticket)));
            assert_eq!(woken(|wakers| queue.leave(leaves, front, wakers)), signalled.len());
            for ticket in (1..=5).filter(|ticket| *ticket != leaves) {
                assert_eq!(!sleeps(&mut queue, ticket), signalled.contains(&ticket), "{leaves}: {ticket}");
            }
        }
    }

    #[test]
    fn the_permits_of_waiters_ahead_are_those_that_they_can_get() {
        let (mut queue, limit) = (queue(2), Limit::new(3, 1));
        let ahead = |queue: &Queue, ticket| (queue.ahead(ticket, limit).permits, queue.ahead(ticket, limit).each);
        assert_eq!([1, 2, 3, u64::MAX].map(|ticket| ahead(&queue, ticket).0), [0, 1, 2, 2]);
        assert!(ahead(&queue, 9).1.is_empty());
        queue.join(3, 3);
        queue.join(4, 4);
        queue.join(5, 1);
        assert_eq!(ahead(&queue, u64::MAX), (6, vec![1, 1, 3, 1]), "the fourth is rejected when it runs");
        assert_eq!((ahead(&queue, 4), queue.first_permits(limit)), ((5, vec![1, 1, 3]), 1));
        for ticket in [3, 4] {
            queue.leave(ticket, 1, &mut Wakers::default());
        }
        assert_eq!(ahead(&queue, 5), (2, vec![]));
    }

    #[test]
    fn a_signal_before_the_sleep_is_not_lost() {
        let mut queue = queue(2);
        assert_eq!(woken(|wakers| queue.signal(1, wakers)), 0, "no waiter sleeps");
        assert!(!sleeps(&mut queue, 1) && !sleeps(&mut queue, 2));
        queue.join(1, 1);
        assert!(sleeps(&mut queue, 1));
    }

    #[cfg(feature = "tokio")]
    #[test]
    fn a_listener_is_woken_by_the_next_signal() {
        let mut queue = queue(1);
        assert_eq!(woken(|wakers| queue.signal(1, wakers)), 0);
        queue.listen(1, &mut Some(Waker::noop().clone()));
        assert_eq!(woken(|wakers| queue.signal(1, wakers)), 1);
        assert!(!sleeps(&mut queue, 1));
    }

    fn check(queue: &mut Queue, ticket: u64, now: u64) -> Option<u64> {
        queue.check_first(ticket, 1_000, now, &mut Wakers::default())
    }

    #[test]
    fn an_unresponsive_waiter_is_skipped_and_returns_to_its_position() {
        let mut queue = queue(3);
        assert_eq!([2, 3].map(|ticket| check(&mut queue, ticket, 0)), [Some(1_000 + GRACE); 2]);
        // However long ago it was due, it is reminded first.
        assert_eq!(check(&mut queue, 2, 50 * GRACE), Some(51 * GRACE));
        assert_eq!(check(&mut queue, 3, 50 * GRACE + 1), Some(51 * GRACE));
        queue.join(1, 1);
        assert_eq!(check(&mut queue, 2, 51 * GRACE), Some(52 * GRACE), "it has run since");
        assert_eq!(check(&mut queue, 2, 52 * GRACE), None);
        assert_eq!((queue.len(), queue.position(2, 1), queue.position(3, 1)), (2, Position::Front, Position::Behind));
        queue.join(1, 1);
        assert_eq!(
            [1, 2, 3].map(|ticket| queue.position(ticket, 2)),
            [Position::Front, Position::Front, Position::Behind]
        );
    }

    #[test]
    fn unresponsive_waiters_are_skipped_together() {
        let mut queue = queue(100);
        assert!((1..=100).all(|ticket| sleeps(&mut queue, ticket)));
        assert_eq!(check(&mut queue, 100, 1_000), Some(1_000 + GRACE));
        assert_eq!(check(&mut queue, 100, 1_000 + GRACE), None);
        assert!((2..100).all(|ticket| !sleeps(&mut queue, ticket)), "all before it are reminded");
        assert!(sleeps(&mut queue, 100));
        queue.join(60, 1);
        assert_eq!(check(&mut queue, 60, 2_000 + GRACE), Some(1_000 + 2 * GRACE));
        assert_eq!(check(&mut queue, 100, 1_000 + 2 * GRACE), None);
        assert_eq!((queue.len(), queue.position(60, 1)), (41, Position::Front));
        // The time of the others has passed when they become the first.
        queue.leave(60, 1, &mut Wakers::default());
        assert_eq!(check(&mut queue, 100, 1_000 + 2 * GRACE), None);
        assert_eq!(queue.position(100, 1), Position::Front);
    }

    #[test]
    fn a_caller_that_does_not_wait_checks_all_waiters() {
        let mut queue = queue(9);
        for (now, left) in [(1_000, 9), (1_000 + GRACE, 8), (1_000 + 2 * GRACE, 0)] {
            _ = check(&mut queue, u64::MAX, now);
            assert_eq!(queue.len(), left);
        }
    }
}
