//! The retries, deadlines and stop signals around a call.

use std::{num::NonZeroU64, sync::Arc, time::Duration};

use crate::{
    clock::{self, Moment},
    stop::Relay,
};

/// The properties of the calls around a call. [`PackedScope`](super::PackedScope) contains whether the call is part of an attempt.
#[derive(Clone, Debug, Default)]
pub(crate) struct EnclosingCalls {
    /// The earliest deadline. Not boxed: this saves a stack with two timeouts 3 allocations and 55 of 456 ns.
    pub(crate) deadline: Option<Deadline>,
    /// Boxed, since futures contain this struct.
    pub(crate) retries: Option<Box<EnclosingRetries>>,
}

/// The retries around a call that are past their first attempt or have a stop signal.
#[derive(Clone, Debug, Default)]
pub(crate) struct EnclosingRetries {
    /// The innermost retry that is past its first attempt.
    pub(crate) retrying: Option<RetryName>,
    /// The number of the innermost attempt, if it is not the first of its call.
    #[cfg_attr(
        not(feature = "tokio"),
        allow(dead_code, reason = "only a future publishes it again, within a time limit")
    )]
    pub(crate) later_attempt: Option<u32>,
    /// The stop signals of all enclosing retries.
    pub(crate) stop_signals: Vec<Arc<Relay>>,
}

/// The part of [`EnclosingCalls`] that needs no destructor, as a thread stores it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Details {
    /// The innermost retry that is past its first attempt.
    pub(crate) retrying: Option<RetryName>,
    /// The number of the innermost attempt, if it is not the first of its call. `retrying` is then that of its retry.
    pub(crate) later_attempt: Option<u32>,
    /// The earliest deadline.
    pub(crate) deadline: Option<Deadline>,
}

/// The name of a retry; `None` if it has no name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RetryName(pub(crate) Option<&'static str>);

/// The end of the time that a retry or a timeout allows, by the clock that measures it: bit 63 is set for the clock of threads, the other
/// bits are the moment. In one word, since scopes save and restore it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline(NonZeroU64);

/// The clock that measures sleeps: threads sleep by the system's clock, tasks by tokio's. A paused tokio clock would not advance while a
/// thread sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SleepClock {
    Thread,
    Task,
}

impl SleepClock {
    pub(crate) fn read(self) -> Moment {
        match self {
            Self::Task => clock::now(),
            Self::Thread => clock::thread_now(),
        }
    }
}

impl Deadline {
    const OF_THREAD: u64 = 1 << 63;

    #[inline]
    pub(crate) fn new(start: Moment, limit: Duration, clock: SleepClock) -> Self {
        let end = start.after(clock::micros(limit)).as_micros().min(Self::OF_THREAD - 1);
        let word = match clock {
            SleepClock::Thread => end | Self::OF_THREAD,
            SleepClock::Task => end,
        };
        Self(NonZeroU64::new(word).unwrap_or(NonZeroU64::MIN))
    }

    const fn end(self) -> Moment {
        Moment::from_micros(self.0.get() & !Self::OF_THREAD)
    }

    const fn clock(self) -> SleepClock {
        if self.0.get() & Self::OF_THREAD == 0 { SleepClock::Task } else { SleepClock::Thread }
    }

    /// Compares two deadlines; those of different clocks by the time that remains.
    fn is_before(self, other: Self) -> bool {
        if self.clock() == other.clock() { self.end() < other.end() } else { self.remaining() < other.remaining() }
    }

    pub(crate) fn remaining(self) -> Duration {
        self.end().since(self.clock().read())
    }

    /// Returns true if a sleep of this length would end after the deadline.
    pub(crate) fn is_before_end_of(self, sleep: Duration) -> bool {
        sleep > self.remaining()
    }
}

impl Details {
    /// Adds a deadline and keeps the earlier of the two.
    #[inline]
    pub(crate) fn add_deadline(&mut self, own: Deadline) {
        self.deadline = Some(self.deadline.filter(|outer| outer.is_before(own)).unwrap_or(own));
    }
}

impl EnclosingCalls {
    pub(super) const NONE: Self = Self { deadline: None, retries: None };
}

#[cfg(feature = "tokio")]
impl EnclosingCalls {
    pub(super) const fn is_none(&self) -> bool {
        self.deadline.is_none() && self.retries.is_none()
    }

    #[inline]
    pub(crate) fn details(&self) -> Details {
        let (retrying, later_attempt) =
            self.retries.as_ref().map_or((None, None), |retries| (retries.retrying, retries.later_attempt));
        Details { retrying, later_attempt, deadline: self.deadline }
    }

    #[inline]
    pub(crate) fn stop_signals(&self) -> Vec<Arc<Relay>> {
        self.retries.as_ref().map_or_else(Vec::new, |retries| retries.stop_signals.clone())
    }
}
