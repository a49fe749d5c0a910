//! The retries, deadlines and stop signals around a call.

use std::{sync::Arc, time::Duration};

use crate::{
    clock::{self, Moment},
    stop::{self, Relay},
};

/// The properties of the calls around a call. [`PackedScope`](super::PackedScope) contains whether the call is part of an attempt.
#[derive(Clone, Debug, Default)]
pub(crate) struct EnclosingCalls {
    /// The innermost retry that is past its first attempt.
    pub(crate) retrying: Option<RetryName>,
    /// The earliest deadline.
    pub(crate) deadline: Option<Deadline>,
    /// The stop signals of all enclosing retries.
    pub(crate) stop_signals: Vec<Arc<Relay>>,
}

/// The name of a retry; `None` if it has no name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RetryName(pub(crate) Option<&'static str>);

/// The end of the time that a retry or a timeout allows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    end: Moment,
    clock: SleepClock,
}

/// The clock that measures sleeps: threads sleep by the system's clock, tasks by tokio's. A paused tokio clock would not advance while a
/// thread sleeps.
#[derive(Clone, Copy, Debug)]
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
    pub(crate) const fn new(start: Moment, limit: Duration, clock: SleepClock) -> Self {
        Self { end: start.after(clock::micros(limit)), clock }
    }

    /// Compares two deadlines; those of different clocks by the time that remains.
    fn is_before(self, other: Self) -> bool {
        match (self.clock, other.clock) {
            (SleepClock::Task, SleepClock::Task) | (SleepClock::Thread, SleepClock::Thread) => self.end < other.end,
            _ => self.remaining() < other.remaining(),
        }
    }

    fn remaining(self) -> Duration {
        self.end.since(self.clock.read())
    }
}

impl EnclosingCalls {
    /// Adds a deadline and keeps the earlier of the two.
    pub(crate) fn with_deadline(mut self, own: Deadline) -> Self {
        self.deadline = Some(self.deadline.filter(|outer| outer.is_before(own)).unwrap_or(own));
        self
    }

    /// Returns true if a sleep of this length would end after the deadline.
    pub(crate) fn is_too_long(&self, delay: Duration) -> bool {
        self.deadline.is_some_and(|deadline| delay > deadline.remaining())
    }

    /// Returns true if the stop signal of an enclosing retry is set.
    pub(crate) fn is_stopped(&self) -> bool {
        stop::is_any_set(&self.stop_signals)
    }
}
