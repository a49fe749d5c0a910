//! The scope of a call: the retries, deadlines and stop signals around it.
//!
//! An attempt of a retry and a call with a time limit publish their scope on the thread, while they run or are polled. A future
//! inside of it reads that scope at its first poll and keeps it. So it knows the same afterwards, whatever thread or task polls it. Code
//! that is not `async` reads it when it first needs it, since until its end the scope around it stays the same.
//!
//! **Invariant:** a future takes a scope only from the task that it is a part of. The waker tells: who polls a future of another
//! task does so by another waker. So the scope of a task that polls a `Shared`, which others wait for as well, is not the scope of what is
//! shared; nor is what a `block_on` polls in the scope of the function that blocks. A combinator that has a waker for each of its
//! futures, such as `FuturesUnordered`, is for that reason as good as a task of its own.
//!
//! **Invariant:** code that is not `async` takes the innermost scope of its thread, unless that is of code that is not `async` either, and
//! another task is being polled since (as far as tokio says, which it does with the feature `rt-multi-thread`).
//!
//! **Invariant:** a first attempt without a time limit and a stop signal is cheap. Code that is not `async` adds one to a number of its thread
//! and takes it off again. A task around which there is nothing writes its two addresses as well. Only where there is more to know or to
//! restore does an attempt save what was there before, and enter a list.

mod guard;
mod innermost;

#[cfg(feature = "tokio")]
use std::task::Context;
use std::{sync::Arc, time::Duration};

#[cfg(feature = "tokio")]
pub(crate) use self::guard::Scope;
#[cfg(feature = "tokio")]
use self::innermost::Task;
#[cfg(feature = "rt-multi-thread")]
pub(crate) use self::innermost::polled;
pub(crate) use self::{
    guard::ThreadScope,
    innermost::{Innermost, with_rejection},
};
use crate::{
    clock::{self, Moment},
    retry::stop::{self, Relay},
};

/// What there is to know of the calls around one, beside that there are some.
#[derive(Clone, Debug, Default)]
pub(crate) struct Around {
    /// The innermost retry that is at its second attempt, or at a later one.
    pub(crate) retried: Option<Retried>,
    pub(crate) deadline: Option<Deadline>,
    /// The stop signals of all retries around it.
    pub(crate) signals: Vec<Arc<Relay>>,
}

/// A retry by its name, if it has one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Retried(pub(crate) Option<&'static str>);

/// When the attempts of a retry, or a call with a time limit, have to be over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    end: Moment,
    clock: Clock,
}

/// The clock that sleeps go by. A paused task clock would never reach the end of sleeps that a thread really sleeps.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Clock {
    Thread,
    Task,
}

impl Clock {
    pub(crate) fn read(self) -> Moment {
        match self {
            Self::Task => clock::now(),
            Self::Thread => clock::thread_now(),
        }
    }
}

impl Deadline {
    pub(crate) const fn new(start: Moment, limit: Duration, clock: Clock) -> Self {
        Self { end: start.after(clock::micros(limit)), clock }
    }

    fn is_before(self, other: Self) -> bool {
        match (self.clock, other.clock) {
            (Clock::Task, Clock::Task) | (Clock::Thread, Clock::Thread) => self.end < other.end,
            _ => self.left() < other.left(),
        }
    }

    fn left(self) -> Duration {
        self.end.since(self.clock.read())
    }
}

impl Around {
    /// The same with another deadline, if that is earlier.
    pub(crate) fn until(mut self, own: Deadline) -> Self {
        self.deadline = Some(self.deadline.filter(|outer| outer.is_before(own)).unwrap_or(own));
        self
    }

    /// Returns true if a sleep would end after the deadline.
    pub(crate) fn ends_too_late(&self, delay: Duration) -> bool {
        self.deadline.is_some_and(|deadline| delay > deadline.left())
    }

    /// Returns true if a retry around is to end.
    pub(crate) fn is_stopped(&self) -> bool {
        stop::is_any_given(&self.signals)
    }
}

/// The scope that a call has found around it.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) is_attempt: bool,
    /// Nothing is to be added when it is polled again.
    pub(crate) is_settled: bool,
    pub(crate) around: Option<Box<Around>>,
}

impl Found {
    pub(crate) const NOTHING: Self = Self { is_attempt: false, is_settled: true, around: None };

    #[cfg(feature = "tokio")]
    pub(crate) const fn is_nothing(&self) -> bool {
        !self.is_attempt && self.is_settled && self.around.is_none()
    }
}

/// What a future finds that is created here.
#[cfg(feature = "tokio")]
#[derive(Debug)]
pub(crate) struct Created(Option<Box<(Task, Found)>>);

#[cfg(feature = "tokio")]
impl Created {
    #[inline]
    pub(crate) fn here() -> Self {
        let innermost = Innermost::get();
        if innermost.is_nothing() { Self(None) } else { Self::within(innermost) }
    }

    #[cold]
    fn within(innermost: Innermost) -> Self {
        let is_of_task = innermost.has(Innermost::TASK);
        Self(is_of_task.then(|| Box::new((Task::noted(), innermost.found()))))
    }

    /// The scope, if the future is polled by the task that has created it.
    pub(crate) async fn found(self) -> Found {
        let Some(created) = self.0 else { return Found::NOTHING };
        let (task, found) = *created;
        let is_same = std::future::poll_fn(|context| std::task::Poll::Ready(task == Task::polled_by(context))).await;
        if is_same { found } else { Found::NOTHING }
    }
}

/// The stop signals around code that is not `async`.
pub(crate) fn signals_of_thread() -> Vec<Arc<Relay>> {
    signals(Innermost::get(), Innermost::found_by_thread)
}

/// The stop signals around a future that is being polled.
#[cfg(feature = "tokio")]
pub(crate) fn signals_of_task(context: &Context<'_>) -> Vec<Arc<Relay>> {
    signals(Innermost::get(), |innermost| innermost.found_by_task(context))
}

fn signals(innermost: Innermost, found: impl FnOnce(Innermost) -> Found) -> Vec<Arc<Relay>> {
    if innermost.has(Innermost::NOTED) {
        found(innermost).around.map(|around| around.signals).unwrap_or_default()
    } else {
        Vec::new()
    }
}
