//! The waiters of a rate limit, in the order in which they came: a value, with no clock and no lock.
//!
//! **Invariant:** a waiter has its place in the queue and nothing else. The first takes capacity when it runs, so that a waiter
//! that gives up leaves nothing behind, and the next has its turn at once.
//!
//! **Invariant:** a change of what a waiter goes by (the settings, the counts, its place among the first) signals it. A waiter finds
//! a signal that was given before it sleeps when it is about to sleep.

use std::{
    collections::BTreeMap,
    task::{Poll, Waker},
};

use crate::panics::contain;

/// The time that a waiter has to run when its turn has come, in microseconds, and has once more after a reminder. Then it is passed
/// over: it may be a future that is not polled any more, or a thread that is stopped. The time is much longer than a busy executor
/// takes, since passing over a waiter that would have run changes the order.
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
    /// The moment at which it was reminded that its turn has come.
    reminded: Option<u64>,
}

/// The place of a waiter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Among those whose turn it may be.
    Turn,
    /// Behind so many others.
    Behind(usize),
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
        if self.waiters.keys().nth(turns).is_none_or(|behind| ticket < *behind) {
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
        match self.ahead(ticket) {
            ahead if ahead < turns => Place::Turn,
            ahead => Place::Behind(ahead),
        }
    }

    /// Waiters that came before this one.
    pub(super) fn ahead(&self, ticket: u64) -> usize {
        match self.waiters.last_key_value() {
            Some((last, _)) if *last == ticket => self.waiters.len() - 1,
            _ => self.waiters.range(..ticket).count(),
        }
    }

    /// Lets a waiter behind so many others look after the first, whose turn comes at `due`. Gives the moment at which it looks again if
    /// nobody signals it, or `None` if the first was passed over.
    pub(super) fn look_after_first(&mut self, ahead: usize, due: u64, now: u64, wakers: &mut Wakers) -> Option<u64> {
        let mut first = self.waiters.first_entry()?;
        // The next waiter looks first, and those behind it if it does not.
        let pauses = u64::try_from(ahead).unwrap_or(u64::MAX).saturating_mul(2).saturating_sub(1);
        let again = |from: u64| Some(from.saturating_add(GRACE.saturating_mul(pauses)));
        if due > now {
            return again(due);
        }
        match first.get().reminded {
            // By another clock it may be any time ago.
            Some(reminded) if now.abs_diff(reminded) >= GRACE => {
                first.remove().signal(wakers);
                None
            }
            Some(reminded) => again(reminded),
            None => {
                first.get_mut().reminded = Some(now);
                first.get_mut().signal(wakers);
                again(now)
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

    #[test]
    fn a_waiter_that_does_not_run_is_passed_over_and_comes_back_to_its_place() {
        let mut queue = queue(3);
        let look = |queue: &mut Queue, ahead, now| {
            let mut wakers = Wakers::default();
            queue.look_after_first(ahead, 1_000, now, &mut wakers)
        };
        assert_eq!([1, 2].map(|ahead| look(&mut queue, ahead, 0)), [Some(1_000 + GRACE), Some(1_000 + 3 * GRACE)]);
        // However late it is, it is reminded first.
        assert_eq!(look(&mut queue, 1, 50 * GRACE), Some(51 * GRACE));
        assert_eq!(look(&mut queue, 1, 50 * GRACE + 1), Some(51 * GRACE));
        queue.enter(1);
        assert_eq!(look(&mut queue, 1, 51 * GRACE), Some(52 * GRACE), "it has run since");
        assert_eq!(look(&mut queue, 2, 52 * GRACE), None);
        assert_eq!((queue.len(), queue.place(2, 1), queue.place(3, 1)), (2, Place::Turn, Place::Behind(1)));
        queue.enter(1);
        assert_eq!([1, 2, 3].map(|ticket| queue.place(ticket, 2)), [Place::Turn, Place::Turn, Place::Behind(2)]);
    }
}
