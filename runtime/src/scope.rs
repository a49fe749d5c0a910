//! The scope of a call: the retries, deadlines and stop signals around it.
//!
//! An attempt of a retry and a call with a time limit publish their scope on the thread, while they run or are polled. A call that
//! begins inside of it reads that scope once and keeps it. So it knows the same afterwards, whatever thread or task polls it.
//!
//! **Invariant:** a future takes a scope only from the task that it is a part of. The waker tells: who polls a future of another
//! task does so by another waker. So the scope of a task that polls a `Shared`, which others wait for as well, is not the scope of what is
//! shared; nor is what a `block_on` polls in the scope of the function that blocks. A combinator that has a waker for each of its
//! futures, such as `FuturesUnordered`, is for that reason as good as a task of its own.
//!
//! **Invariant:** code that is not `async` takes the innermost scope of its thread, unless that is of code that is not `async` either, and
//! another task is being polled since (as far as tokio says, which it does with the feature `rt-multi-thread`).
//!
//! **Invariant:** a first attempt without time limit, stop signal and scope around it writes three words of its thread and
//! restores them. Only where there is more to know does it enter a list.

use std::{
    cell::{Cell, RefCell},
    marker::PhantomData,
    sync::Arc,
    time::Duration,
};

#[cfg(feature = "tokio")]
use std::task::Context;

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

thread_local! {
    /// Whose call is being made on this thread.
    static INNERMOST: Cell<Innermost> = const { Cell::new(Innermost::NOTHING) };
    /// What there is to know of calls, the innermost last.
    static NOTED: RefCell<Vec<Around>> = const { RefCell::new(Vec::new()) };
}

/// The innermost scope of a thread.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Innermost {
    task: Task,
    pub(crate) is_attempt: bool,
    /// What is to know of it is the last in the list.
    is_noted: bool,
    /// There is no more to know of it when it is polled again.
    is_settled: bool,
}

/// Which task a scope is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Task {
    /// Code that is not `async`.
    Thread(ThreadTask),
    #[cfg(feature = "tokio")]
    /// Addresses that tell a waker from all others while it exists.
    Waker { data: usize, vtable: usize },
}

/// The task that is being polled on a thread, as far as tokio says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ThreadTask(#[cfg(feature = "rt-multi-thread")] Option<tokio::task::Id>);

impl ThreadTask {
    const NONE: Self = Self(
        #[cfg(feature = "rt-multi-thread")]
        None,
    );

    #[inline]
    fn polled() -> Self {
        Self(
            #[cfg(feature = "rt-multi-thread")]
            tokio::task::try_id(),
        )
    }
}

#[cfg(feature = "tokio")]
impl Task {
    #[inline]
    fn polled_by(context: &Context<'_>) -> Self {
        let waker = context.waker();
        Self::Waker { data: waker.data().addr(), vtable: std::ptr::from_ref(waker.vtable()).addr() }
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
}

impl Innermost {
    const NOTHING: Self =
        Self { task: Task::Thread(ThreadTask::NONE), is_attempt: false, is_noted: false, is_settled: true };

    #[inline]
    pub(crate) fn get() -> Self {
        INNERMOST.get()
    }

    /// Returns true if there is no scope.
    #[inline]
    pub(crate) const fn is_nothing(self) -> bool {
        !self.is_attempt && !self.is_noted && self.is_settled
    }

    /// What a call that is not `async` finds.
    #[cold]
    pub(crate) fn found_by_thread(self) -> Found {
        let is_of_another = matches!(self.task, Task::Thread(task) if task != ThreadTask::polled());
        if is_of_another { Found::NOTHING } else { self.found() }
    }

    /// What a future finds that is polled.
    #[cfg(feature = "tokio")]
    #[cold]
    pub(crate) fn found_by_task(self, context: &Context<'_>) -> Found {
        if self.task == Task::polled_by(context) { self.found() } else { Found::NOTHING }
    }

    fn found(self) -> Found {
        let Self { is_attempt, is_settled, is_noted, .. } = self;
        let last = || NOTED.try_with(|noted| noted.borrow().last().cloned()).ok().flatten();
        Found { is_attempt, is_settled, around: if is_noted { last().map(Box::new) } else { None } }
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
        if innermost.is_nothing() { Self(None) } else { Self(Some(Box::new((innermost.task, innermost.found())))) }
    }

    /// The scope, if the future is polled by the task that has created it.
    pub(crate) async fn found(self) -> Found {
        std::future::poll_fn(|context| std::task::Poll::Ready(self.found_by_task(context))).await
    }

    fn found_by_task(&self, context: &Context<'_>) -> Found {
        match self.0.as_deref() {
            Some((task, found)) if *task == Task::polled_by(context) => found.clone(),
            _ => Found::NOTHING,
        }
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
    if innermost.is_noted {
        found(innermost).around.map(|around| around.signals).unwrap_or_default()
    } else {
        Vec::new()
    }
}

/// As long as it lives, what runs on this thread is inside of a call.
#[derive(Debug)]
pub struct Scope {
    before: Innermost,
    is_noted: bool,
    /// It belongs to a thread.
    _thread: PhantomData<*const ()>,
}

impl Scope {
    /// Enters an attempt of code that is not `async`. What is to know of it, if anything, is asked when it `is_noted`.
    #[inline]
    pub(crate) fn of_thread(is_noted: bool, around: impl FnOnce() -> Around) -> Self {
        let task = Task::Thread(ThreadTask::polled());
        Self::enter(Innermost { task, is_attempt: true, is_noted, is_settled: true }, around)
    }

    /// Enters a call that a task polls, as a part of what the call has found around itself.
    #[cfg(feature = "tokio")]
    #[inline]
    pub(crate) fn of_task(
        context: &Context<'_>,
        [is_attempt, is_settled, is_noted]: [bool; 3],
        around: impl FnOnce() -> Around,
    ) -> Self {
        Self::enter(Innermost { task: Task::polled_by(context), is_attempt, is_noted, is_settled }, around)
    }

    #[inline]
    fn enter(innermost: Innermost, around: impl FnOnce() -> Around) -> Self {
        if innermost.is_noted {
            note(around());
        }
        let before = INNERMOST.replace(innermost);
        Self { before, is_noted: innermost.is_noted, _thread: PhantomData }
    }
}

impl Drop for Scope {
    #[inline]
    fn drop(&mut self) {
        INNERMOST.set(self.before);
        if self.is_noted {
            forget();
        }
    }
}

/// Notes what there is to know. When the thread is about to end, that is nothing.
#[cold]
fn note(around: Around) {
    _ = NOTED.try_with(|noted| noted.borrow_mut().push(around));
}

#[cold]
fn forget() {
    _ = NOTED.try_with(|noted| noted.borrow_mut().pop());
}
