//! One limit: its counts, its waiters, and the decision about a call that comes.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

#[cfg(feature = "tokio")]
use super::line::Line;
use super::{
    Algorithm, RateLimitSettings, RateLimited,
    counter::{Counter, Limit},
    queue::{Queue, Wakers},
    waiting::{OwnTime, Waiting},
};
use crate::{
    clock::{self, Moment, micros},
    events::{self, Event},
    key::{self, Key},
    totals::{Count, Totals},
};

/// The number of waiters whose turn it may be at once: only the first takes capacity that comes free.
pub(super) const ONE: usize = 1;

/// The counts and the waiters of one limit.
#[derive(Debug)]
pub(super) struct Limiter {
    state: Mutex<State>,
    pub(super) totals: Totals,
    pub(super) key: Option<Key>,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) counter: Counter,
    adopted: Option<Adopted>,
    /// Waiters for capacity by the counts of this process.
    pub(super) queue: Queue,
    /// Waiters for capacity by the counts of a store; `None` until a call asks one.
    #[cfg(feature = "tokio")]
    pub(super) line: Option<Box<Line>>,
}

/// The settings by which a meter counts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Adopted {
    pub(super) limit: Limit,
    #[cfg_attr(not(feature = "tokio"), allow(dead_code, reason = "a store is asked in tasks alone"))]
    pub(super) algorithm: Algorithm,
    /// How long a call may wait, in microseconds.
    pub(super) wait: u64,
    /// How often some were set before.
    version: u32,
}

enum Decision {
    Admitted,
    Waits { ticket: u64, arrived: u64, deadline: u64 },
    Rejected { retry_after: u64 },
}

impl Limiter {
    pub(super) const fn new(totals: Totals, key: Option<Key>) -> Self {
        let state = Mutex::new(State {
            counter: Counter::new(),
            adopted: None,
            queue: Queue::new(),
            #[cfg(feature = "tokio")]
            line: None,
        });
        Self { state, totals, key }
    }

    /// The limiter of a key whose calls this one may have counted: it begins with what counts here. Calls that wait here are counted here
    /// alone.
    #[cfg(feature = "keyed")]
    pub(super) fn heir(&self, rules: &RateLimitSettings, key: Key) -> Self {
        let (heir, now) = (Self::new(Totals::plain(), Some(key)), clock::now_micros());
        let mut state = self.state();
        if let Some(adopted) = state.apply_settings(rules).filter(|adopted| state.counter.load(now, adopted.limit) > 0)
        {
            let mut inherited = heir.state();
            (inherited.counter, inherited.adopted) = (state.counter.clone(), Some(adopted));
        }
        drop(state);
        heir
    }

    /// Admits a call, or puts it into the queue if its turn comes within `patience` and the wait of the settings. `timer` is the clock by
    /// which it would sleep.
    #[inline]
    pub(super) fn acquire<'l>(
        &'l self,
        rules: &'l RateLimitSettings,
        patience: u64,
        timer: fn() -> Moment,
    ) -> Result<Option<Waiting<'l>>, RateLimited> {
        let mut wakers = Wakers::default();
        let decision = self.state().decide(rules, patience, &mut wakers);
        wakers.wake();
        match decision {
            Decision::Admitted => {
                self.totals.add(Count::Success);
                Ok(None)
            }
            Decision::Waits { ticket, arrived, deadline } => {
                Ok(Some(Waiting::new(self, rules, ticket, deadline, OwnTime::since(arrived, timer))))
            }
            Decision::Rejected { retry_after } => Err(self.reject(rules, retry_after)),
        }
    }

    /// Rejects a call; `retry_after` is in microseconds.
    #[cold]
    pub(super) fn reject(&self, rules: &RateLimitSettings, retry_after: u64) -> RateLimited {
        let retry_after = Duration::from_micros(retry_after);
        self.totals.add(Count::Rejection);
        events::emit(|| {
            let (key, overflow) = key::parts(self.key.as_ref());
            Event::RateLimited { limit: rules.name, key, overflow, retry_after }
        });
        RateLimited { name: rules.name, key: self.key.clone(), retry_after }
    }

    /// Calls that count, and calls that wait.
    pub(super) fn load(&self, rules: &RateLimitSettings) -> (usize, usize) {
        let mut state = self.state();
        let Some(Adopted { limit, .. }) = state.apply_settings(rules) else { return (0, 0) };
        (state.counter.load(clock::now_micros(), limit), state.waiting())
    }

    /// Forgets what was counted.
    pub(super) fn reset(&self) {
        let mut wakers = Wakers::default();
        {
            let mut state = self.state();
            state.counter.reset();
            state.signal(&mut wakers);
        }
        wakers.wake();
    }

    /// Lets the waiters look at settings that are new.
    pub(super) fn signal(&self) {
        let mut wakers = Wakers::default();
        self.state().signal(&mut wakers);
        wakers.wake();
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn decide(&mut self, rules: &RateLimitSettings, patience: u64, wakers: &mut Wakers) -> Decision {
        let Some(Adopted { limit, wait, .. }) = self.apply_settings(rules) else { return Decision::Admitted };
        let arrived = self.read_clock(wakers);
        self.look_after_first(limit, wakers);
        let (now, ahead, patience) = (self.counter.now(), self.queue.len(), wait.min(patience));
        // No call overtakes the waiters. One that does not wait may have the capacity that they leave.
        let taken = if ahead > 0 && patience > 0 {
            Err(self.counter.earliest(now, limit, ahead))
        } else {
            self.counter.try_take(now, limit, ahead)
        };
        match taken {
            Ok(()) => Decision::Admitted,
            Err(at) if patience == 0 || at - now > patience => Decision::Rejected { retry_after: at - now },
            Err(_) => {
                let ticket = self.queue.ticket();
                self.queue.enter(ticket);
                Decision::Waits { ticket, arrived, deadline: now.saturating_add(patience) }
            }
        }
    }

    /// Looks after the first waiter for a call that arrives: it may be rejected, so that nobody looks any more.
    fn look_after_first(&mut self, limit: Limit, wakers: &mut Wakers) {
        if self.queue.len() > 0 {
            let now = self.counter.now();
            let due = self.counter.earliest(now, limit, 0);
            _ = self.queue.look_after_first(u64::MAX, due, now, wakers);
        }
    }

    /// Reads the clock. If it is another clock than before, the waiters look again.
    pub(super) fn read_clock(&mut self, wakers: &mut Wakers) -> u64 {
        let now = clock::now_micros();
        if self.counter.clock(now) {
            self.signal(wakers);
        }
        now
    }

    /// Lets the waiters look again, since what they go by has changed.
    #[cold]
    fn signal(&mut self, wakers: &mut Wakers) {
        self.queue.signal(ONE, wakers);
        #[cfg(feature = "tokio")]
        if let Some(line) = &mut self.line {
            line.signal(wakers);
        }
    }

    fn waiting(&self) -> usize {
        #[cfg(feature = "tokio")]
        return self.queue.len() + self.line.as_ref().map_or(0, |line| line.len());
        #[cfg(not(feature = "tokio"))]
        self.queue.len()
    }

    /// Takes over settings that are new.
    pub(super) fn apply_settings(&mut self, rules: &RateLimitSettings) -> Option<Adopted> {
        let version = rules.version();
        match self.adopted {
            Some(adopted) if adopted.version == version => Some(adopted),
            _ => self.adopt_new(rules, version),
        }
    }

    #[cold]
    fn adopt_new(&mut self, rules: &RateLimitSettings, version: u32) -> Option<Adopted> {
        let config = rules.config()?;
        let limit = Limit { calls: config.limit, per: micros(config.per) };
        let (algorithm, wait) = (config.algorithm, config.max_wait.map_or(0, micros));
        self.adopted = Some(Adopted { limit, algorithm, wait, version });
        self.counter.count_by(algorithm);
        self.adopted
    }
}
