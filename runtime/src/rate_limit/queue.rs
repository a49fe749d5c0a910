//! The waiters of a rate limit, in the order in which they came: a value, with no clock and no lock.
//!
//! **Invariant:** a waiter has its place in the queue and nothing else. The first takes capacity when it runs, so that a waiter
//! that gives up leaves nothing behind, and the next has its turn at once.
//!
//! **Invariant:** a change of what a waiter goes by (the settings, the counts, its place among the first) signals it. A waiter finds
//! a signal that was given before it sleeps when it is about to sleep.

use std::{
    collections::{BTreeMap, btree_map::OccupiedEntry},
    task::{Poll, Waker},
};

use crate::panics::contain;

/// The time that a waiter has to run when its turn has come, in microseconds, and has once more after a reminder. Then it is passed
/// over: it may be a future that is not polled any more, or a thread that is stopped. The time is much longer than a busy executor
/// takes, since passing over a waiter that would have run changes the order.
///
/// A waiter that passes over another reminds all that are before it, and passes over those that do not answer together. So idle waiters
/// cost three of these times, however many they are.
pub(super) const GRACE: u64 = 500_000;

/// Waiters by their tickets, which rise in the order of arrival.
#[derive(Debug)]
pub(super) struct Queue {
    waiters: BTreeMap<u64, Waiter>,
    next: u64,
}

#[derive(Debug, Default)]
struct Waiter {
    /// Present while it sleeps.
    waker: Option<Waker>,
    /// True if it has to look again instead of sleeping.
    is_signalled: bool,
    /// The moment of a reminder that it has not answered.
    reminded: Option<u64>,
}

/// The place of a waiter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Among those whose turn it may be.
    Turn,
    /// Behind those.
    Behind,
}

impl Queue {
    pub(super) const fn new() -> Self {
        Self { waiters: BTreeMap::new(), next: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.waiters.len()
    }

    /// Gives a ticket, with which a caller enters now or later.
    pub(super) fn ticket(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Enters, or looks again: signals until now are noted. One that was passed over is back at its place.
    pub(super) fn enter(&mut self, ticket: u64) {
        let waiter = self.waiters.entry(ticket).or_default();
        (waiter.is_signalled, waiter.reminded) = (false, None);
    }

    /// Leaves. Signals the waiters that come forward, where so many may have their turn at once.
    pub(super) fn leave(&mut self, ticket: u64, turns: usize, wakers: &mut Wakers) {
        let Some(waiter) = self.waiters.remove(&ticket) else { return };
        wakers.idle.extend(waiter.waker);
        if self.is_among_first(turns, ticket) {
            self.signal(turns, wakers);
        }
    }

    /// Signals the waiters whose turn it may be, and the one behind them.
    pub(super) fn signal(&mut self, turns: usize, wakers: &mut Wakers) {
        for waiter in self.waiters.values_mut().take(turns.saturating_add(1)) {
            waiter.signal(wakers);
        }
    }

    /// The place of a waiter, where so many may have their turn at once.
    pub(super) fn place(&self, ticket: u64, turns: usize) -> Place {
        if self.is_among_first(turns, ticket) { Place::Turn } else { Place::Behind }
    }

    /// Waiters that came before this one.
    pub(super) fn ahead(&self, ticket: u64) -> usize {
        match self.waiters.last_key_value() {
            Some((last, _)) if *last == ticket => self.waiters.len() - 1,
            _ => self.waiters.range(..ticket).count(),
        }
    }

    /// Lets a caller behind others look after the first, whose turn comes at `due`. Gives the moment at which it looks again if
    /// nobody signals it, or `None` if others were passed over.
    pub(super) fn look_after_first(&mut self, ticket: u64, due: u64, now: u64, wakers: &mut Wakers) -> Option<u64> {
        let mut passed = false;
        loop {
            let mut first = self.waiters.first_entry().filter(|first| *first.key() < ticket);
            match first.as_mut().map(OccupiedEntry::get_mut) {
                Some(waiter) if waiter.is_silent(now) => {
                    waiter.signal(wakers);
                    self.waiters.pop_first();
                    passed = true;
                }
                // Others before this caller may be idle as well.
                _ if passed => {
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

    /// Is woken by the next signal, while it waits for something else. The signals until now are noted. `waker` is as for a sleep.
    #[cfg(feature = "tokio")]
    pub(super) fn listen(&mut self, ticket: u64, waker: &mut Option<Waker>) {
        if let Some(waiter) = self.waiters.get_mut(&ticket) {
            waiter.is_signalled = false;
            std::mem::swap(&mut waiter.waker, waker);
        }
    }

    fn is_among_first(&self, turns: usize, ticket: u64) -> bool {
        self.waiters.keys().nth(turns).is_none_or(|behind| ticket < *behind)
    }

    /// Sleeps until it is signalled. `waker` is what wakes it; the one before comes back in its place.
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

impl Waiter {
    /// Signals it, unless it has not answered an earlier reminder. Gives the moment of the reminder.
    fn remind(&mut self, now: u64, wakers: &mut Wakers) -> u64 {
        if self.reminded.is_none() {
            self.signal(wakers);
        }
        *self.reminded.get_or_insert(now)
    }

    /// True if it has not answered a reminder in time. By another clock the reminder may be any time ago.
    fn is_silent(&self, now: u64) -> bool {
        self.reminded.is_some_and(|reminded| now.abs_diff(reminded) >= GRACE)
    }

    fn signal(&mut self, wakers: &mut Wakers) {
        self.is_signalled = true;
        wakers.to_wake.extend(self.waker.take());
    }
}

/// Wakers that were taken out under a lock and are used without it: waking and dropping one runs code of an executor, which may
/// drop futures that wait in the same queue.
#[derive(Debug, Default)]
#[must_use = "a waiter that is not woken sleeps on"]
pub(super) struct Wakers {
    to_wake: Vec<Waker>,
    /// Of waiters that have left.
    idle: Vec<Waker>,
}

impl Wakers {
    /// Wakes them, each one even if another panics.
    pub(super) fn wake(self) {
        for waker in self.to_wake {
            contain(|| waker.wake());
        }
        contain(|| drop(self.idle));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(waiters: u64) -> Queue {
        let mut queue = Queue::new();
        for _ in 0..waiters {
            let ticket = queue.ticket();
            queue.enter(ticket);
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
    fn who_comes_forward_is_signalled() {
        for (turns, leaves, signalled) in
            [(1, 1, vec![2, 3]), (1, 2, vec![1, 3]), (1, 3, vec![]), (2, 3, vec![1, 2, 4]), (2, 4, vec![])]
        {
            let mut queue = queue(5);
            assert!((1..=5).all(|ticket| sleeps(&mut queue, ticket)));
            assert_eq!(woken(|wakers| queue.leave(leaves, turns, wakers)), signalled.len());
            for ticket in (1..=5).filter(|ticket| *ticket != leaves) {
                assert_eq!(!sleeps(&mut queue, ticket), signalled.contains(&ticket), "{leaves}: {ticket}");
            }
        }
    }

    #[test]
    fn a_signal_before_the_sleep_is_not_lost() {
        let mut queue = queue(2);
        assert_eq!(woken(|wakers| queue.signal(1, wakers)), 0, "nobody sleeps");
        assert!(!sleeps(&mut queue, 1) && !sleeps(&mut queue, 2));
        queue.enter(1);
        assert!(sleeps(&mut queue, 1));
    }

    #[cfg(feature = "tokio")]
    #[test]
    fn who_listens_is_woken_by_the_next_signal() {
        let mut queue = queue(1);
        assert_eq!(woken(|wakers| queue.signal(1, wakers)), 0);
        queue.listen(1, &mut Some(Waker::noop().clone()));
        assert_eq!(woken(|wakers| queue.signal(1, wakers)), 1);
        assert!(!sleeps(&mut queue, 1));
    }

    fn look(queue: &mut Queue, ticket: u64, now: u64) -> Option<u64> {
        queue.look_after_first(ticket, 1_000, now, &mut Wakers::default())
    }

    #[test]
    fn a_waiter_that_does_not_run_is_passed_over_and_comes_back_to_its_place() {
        let mut queue = queue(3);
        assert_eq!([2, 3].map(|ticket| look(&mut queue, ticket, 0)), [Some(1_000 + GRACE); 2]);
        // However late it is, it is reminded first.
        assert_eq!(look(&mut queue, 2, 50 * GRACE), Some(51 * GRACE));
        assert_eq!(look(&mut queue, 3, 50 * GRACE + 1), Some(51 * GRACE));
        queue.enter(1);
        assert_eq!(look(&mut queue, 2, 51 * GRACE), Some(52 * GRACE), "it has run since");
        assert_eq!(look(&mut queue, 2, 52 * GRACE), None);
        assert_eq!((queue.len(), queue.place(2, 1), queue.place(3, 1)), (2, Place::Turn, Place::Behind));
        queue.enter(1);
        assert_eq!([1, 2, 3].map(|ticket| queue.place(ticket, 2)), [Place::Turn, Place::Turn, Place::Behind]);
    }

    #[test]
    fn those_that_do_not_answer_are_passed_over_together() {
        let mut queue = queue(100);
        assert!((1..=100).all(|ticket| sleeps(&mut queue, ticket)));
        assert_eq!(look(&mut queue, 100, 1_000), Some(1_000 + GRACE));
        assert_eq!(look(&mut queue, 100, 1_000 + GRACE), None);
        assert!((2..100).all(|ticket| !sleeps(&mut queue, ticket)), "all before it are reminded");
        assert!(sleeps(&mut queue, 100));
        queue.enter(60);
        assert_eq!(look(&mut queue, 60, 2_000 + GRACE), Some(1_000 + 2 * GRACE));
        assert_eq!(look(&mut queue, 100, 1_000 + 2 * GRACE), None);
        assert_eq!((queue.len(), queue.place(60, 1)), (41, Place::Turn));
        // The others have had their time when they come to be the first.
        queue.leave(60, 1, &mut Wakers::default());
        assert_eq!(look(&mut queue, 100, 1_000 + 2 * GRACE), None);
        assert_eq!(queue.place(100, 1), Place::Turn);
    }

    #[test]
    fn a_caller_that_does_not_wait_looks_after_all() {
        let mut queue = queue(9);
        for (now, left) in [(1_000, 9), (1_000 + GRACE, 8), (1_000 + 2 * GRACE, 0)] {
            _ = look(&mut queue, u64::MAX, now);
            assert_eq!(queue.len(), left);
        }
    }
}
