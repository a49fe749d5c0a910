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
//! **Invariant:** a first attempt without a time limit and a stop signal is cheap. Code that is not `async` adds one to a number of its thread
//! and takes it off again. A task around which there is nothing writes its two addresses as well. Only where there is more to know or to
//! restore does an attempt save what was there before, and enter a list.

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
    static THREAD: Thread = const { Thread::new() };
    /// What there is to know of calls, the innermost last.
    static NOTED: RefCell<Vec<Around>> = const { RefCell::new(Vec::new()) };
}

/// The words of a thread that a first attempt writes, side by side: so the compiler looks for their address once.
struct Thread {
    innermost: Cell<Innermost>,
    /// The task whose poll has published the innermost scope, if one has.
    task: Cell<Task>,
    /// The mark of the last rejection: see [`trace`](crate::breaker::trace).
    rejection: Cell<u64>,
}

impl Thread {
    const fn new() -> Self {
        Self {
            innermost: Cell::new(Innermost::NOTHING),
            task: Cell::new(Task { vtable: 0, data: 0 }),
            rejection: Cell::new(0),
        }
    }
}

/// Reads or writes the mark of this thread's last rejection.
#[inline]
pub(crate) fn with_rejection<R>(with: impl FnOnce(&Cell<u64>) -> R) -> R {
    THREAD.with(|thread| with(&thread.rejection))
}

/// The innermost scope of a thread, in one word: flags of the last scope that was published with flags, and in the bits above them the
/// number of attempts of code that is not `async` that were entered since then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Innermost(u32);

impl Innermost {
    pub(crate) const NOTHING: Self = Self(0);
    /// The call is a part of an attempt.
    pub(crate) const ATTEMPT: Self = Self(1);
    /// The call may find more around it when it is polled again.
    pub(crate) const OPEN: Self = Self(1 << 1);
    /// The last entry of the list is about this scope.
    const NOTED: Self = Self(1 << 2);
    /// The scope is of a task.
    const TASK: Self = Self(1 << 3);
    /// One attempt of code that is not `async`.
    const THREAD_ATTEMPT: Self = Self(1 << 4);

    #[inline]
    pub(crate) fn get() -> Self {
        THREAD.with(|thread| thread.innermost.get())
    }

    /// Returns true if there is no scope.
    #[cfg(feature = "tokio")]
    #[inline]
    pub(crate) const fn is_nothing(self) -> bool {
        self.0 == 0
    }

    #[inline]
    pub(crate) const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The scope inside of an attempt of code that is not `async`.
    #[inline]
    const fn inside(self) -> Self {
        Self(self.0.wrapping_add(Self::THREAD_ATTEMPT.0))
    }

    /// The scope outside of that attempt.
    #[inline]
    const fn outside(self) -> Self {
        Self(self.0.wrapping_sub(Self::THREAD_ATTEMPT.0))
    }

    #[inline]
    const fn has(self, flag: Self) -> bool {
        self.0 & flag.0 != 0
    }

    /// Returns true if the innermost scope is that of code that is not `async`.
    const fn is_of_thread(self) -> bool {
        self.0 >= Self::THREAD_ATTEMPT.0 || !self.has(Self::TASK)
    }

    const fn is_attempt(self) -> bool {
        self.0 >= Self::THREAD_ATTEMPT.0 || self.has(Self::ATTEMPT)
    }

    /// What a call that is not `async` finds.
    #[cold]
    pub(crate) fn found_by_thread(self) -> Found {
        if self.is_of_thread() && polled::is_another() { Found::NOTHING } else { self.found() }
    }

    /// What a future finds that is polled.
    #[cfg(feature = "tokio")]
    #[cold]
    pub(crate) fn found_by_task(self, context: &Context<'_>) -> Found {
        if self.has(Self::TASK) && Task::noted() == Task::polled_by(context) { self.found() } else { Found::NOTHING }
    }

    fn found(self) -> Found {
        let last = || NOTED.try_with(|noted| noted.borrow().last().cloned()).ok().flatten();
        let around = if self.has(Self::NOTED) { last().map(Box::new) } else { None };
        Found { is_attempt: self.is_attempt(), is_settled: !self.has(Self::OPEN), around }
    }
}

/// Addresses that tell the waker of a task from all others while it exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Task {
    vtable: usize,
    data: usize,
}

impl Task {
    fn noted() -> Self {
        THREAD.with(|thread| thread.task.get())
    }

    #[cfg(feature = "tokio")]
    #[inline]
    fn polled_by(context: &Context<'_>) -> Self {
        let waker = context.waker();
        Self { data: waker.data().addr(), vtable: std::ptr::from_ref(waker.vtable()).addr() }
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

/// As long as it lives, what runs on this thread is inside of an attempt of code that is not `async`.
#[derive(Debug)]
pub(crate) struct ThreadScope {
    before: Option<Before>,
    /// It belongs to a thread.
    _thread: PhantomData<*const ()>,
}

impl ThreadScope {
    /// Enters a first attempt, of which there is no more to know.
    #[inline]
    pub(crate) fn plain() -> Self {
        THREAD.with(|thread| thread.innermost.set(thread.innermost.get().inside()));
        Self { before: None, _thread: PhantomData }
    }

    #[cold]
    pub(crate) fn noted(around: Around) -> Self {
        Self { before: Some(Before::publish(Innermost::ATTEMPT, Task::noted(), Some(around))), _thread: PhantomData }
    }
}

impl Drop for ThreadScope {
    #[inline]
    fn drop(&mut self) {
        match &self.before {
            None => THREAD.with(|thread| thread.innermost.set(thread.innermost.get().outside())),
            Some(before) => before.restore(),
        }
    }
}

/// As long as it lives, what a task polls on this thread is inside of a call.
#[cfg(feature = "tokio")]
#[derive(Debug)]
pub(crate) struct Scope {
    before: Option<Before>,
    /// It belongs to a thread.
    _thread: PhantomData<*const ()>,
}

#[cfg(feature = "tokio")]
impl Scope {
    /// Enters a call around which there is nothing; returns `None` if there is something.
    #[inline]
    pub(crate) fn alone(context: &Context<'_>, innermost: Innermost) -> Option<Self> {
        THREAD.with(|thread| {
            if !thread.innermost.get().is_nothing() {
                return None;
            }
            thread.task.set(Task::polled_by(context));
            thread.innermost.set(innermost.with(Innermost::TASK));
            Some(Self { before: None, _thread: PhantomData })
        })
    }

    /// Enters a call, with what there is to know of it.
    pub(crate) fn within(context: &Context<'_>, innermost: Innermost, around: Option<Around>) -> Self {
        let before = Before::publish(innermost.with(Innermost::TASK), Task::polled_by(context), around);
        Self { before: Some(before), _thread: PhantomData }
    }
}

#[cfg(feature = "tokio")]
impl Drop for Scope {
    #[inline]
    fn drop(&mut self) {
        match &self.before {
            None => THREAD.with(|thread| thread.innermost.set(Innermost::NOTHING)),
            Some(before) => before.restore(),
        }
    }
}

/// What a scope restores at its end.
#[derive(Debug)]
struct Before {
    innermost: Innermost,
    task: Task,
    is_noted: bool,
}

impl Before {
    fn publish(innermost: Innermost, task: Task, around: Option<Around>) -> Self {
        let (is_noted, mut innermost) = (around.is_some(), innermost);
        if let Some(around) = around {
            note(around);
            innermost = innermost.with(Innermost::NOTED);
        }
        THREAD.with(|thread| Self {
            innermost: thread.innermost.replace(innermost),
            task: thread.task.replace(task),
            is_noted,
        })
    }

    #[inline(never)]
    fn restore(&self) {
        THREAD.with(|thread| {
            thread.innermost.set(self.innermost);
            thread.task.set(self.task);
        });
        if self.is_noted {
            forget();
        }
    }
}

/// The tokio task that is being polled on a thread, as far as tokio says.
#[cfg(feature = "rt-multi-thread")]
pub(crate) mod polled {
    use std::cell::Cell;

    use tokio::task::{Id, try_id};

    thread_local! {
        /// The task that was being polled when the innermost attempt of code that is not `async` began.
        static AT_ATTEMPT: Cell<Option<Id>> = const { Cell::new(None) };
    }

    /// Notes the task during an attempt of code that is not `async`.
    #[derive(Debug)]
    pub(crate) struct Polled(Option<Id>);

    impl Polled {
        #[inline]
        pub(crate) fn note() -> Self {
            Self(AT_ATTEMPT.replace(try_id()))
        }
    }

    impl Drop for Polled {
        #[inline]
        fn drop(&mut self) {
            AT_ATTEMPT.set(self.0);
        }
    }

    /// Returns true if another task is being polled than when the innermost attempt began.
    pub(super) fn is_another() -> bool {
        AT_ATTEMPT.get() != try_id()
    }
}

/// Without that feature, tokio is not asked.
#[cfg(not(feature = "rt-multi-thread"))]
mod polled {
    pub(super) const fn is_another() -> bool {
        false
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
