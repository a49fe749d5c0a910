//! The retries, deadlines and stop signals around a call.

use std::{sync::Arc, time::Duration};

use crate::{
    clock::{self, Moment},
    stop::{self, Relay},
};

/// The properties of the calls around a call. [`PackedScope`](super::PackedScope) contains whether the call is part of an attempt.
#[derive(Clone, Debug, Default)]
pub(crate) struct EnclosingCalls {
    pub(crate) details: Details,
    /// The stop signals of all enclosing retries.
    pub(crate) stop_signals: Vec<Arc<Relay>>,
}

/// The part of [`EnclosingCalls`] that needs no destructor.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Details {
    /// The innermost retry that is past its first attempt.
    pub(crate) retrying: Option<RetryName>,
    /// The earliest deadline.
    pub(super) deadline: Option<Deadline>,
}

/// The name of a retry; `None` if it has no name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RetryName(pub(crate) Option<&'static str>);

/// The end of the time that a retry or a timeout allows, by the clock that measures it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Deadline {
    Thread(Moment),
    Task(Moment),
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
        let end = start.after(clock::micros(limit));
        match clock {
            SleepClock::Thread => Self::Thread(end),
            SleepClock::Task => Self::Task(end),
        }
    }

    /// Compares two deadlines; those of different clocks by the time that remains.
    fn is_before(self, other: Self) -> bool {
        match (self, other) {
            (Self::Task(own), Self::Task(other)) | (Self::Thread(own), Self::Thread(other)) => own < other,
            _ => self.remaining() < other.remaining(),
        }
    }

    fn remaining(self) -> Duration {
        match self {
            Self::Thread(end) => end.since(SleepClock::Thread.read()),
            Self::Task(end) => end.since(SleepClock::Task.read()),
        }
    }
}

impl Details {
    pub(crate) const NONE: Self = Self { retrying: None, deadline: None };

    /// Adds a deadline and keeps the earlier of the two.
    #[inline]
    pub(crate) fn add_deadline(&mut self, own: Deadline) {
        self.deadline = Some(self.deadline.filter(|outer| outer.is_before(own)).unwrap_or(own));
    }
}

impl EnclosingCalls {
    /// Returns true if a sleep of this length would end after the deadline.
    pub(crate) fn is_too_long(&self, delay: Duration) -> bool {
        self.details.deadline.is_some_and(|deadline| delay > deadline.remaining())
    }

    /// Returns true if the stop signal of an enclosing retry is set.
    pub(crate) fn is_stopped(&self) -> bool {
        stop::is_any_set(&self.stop_signals)
    }
}
