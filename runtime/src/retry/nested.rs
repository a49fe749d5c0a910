//! What a retry knows of the retries and the limits of time around it, in the same task or on the same thread.
//!
//! A retried function that is called by a retried function multiplies attempts: three times three are nine. So each attempt is made
//! within a [`Scope`]. And a sleep that ends past the time limit of a retry or a timeout further out is slept in vain. So a timeout
//! that has begun to wait notes its [`Deadline`] while it polls.
//!
//! **Invariant:** the first attempt under a policy without a time limit adds one to a number of its thread and takes it off again.
//! Names and time limits are noted when there are some that matter: from the second attempt on, or where there is a limit.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    marker::PhantomData,
    sync::{Mutex, PoisonError},
    time::Duration,
};
#[cfg(feature = "tokio")]
use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use super::attempts::{Attempts, Clock};
#[cfg(feature = "tokio")]
use crate::clock;
use crate::{
    clock::Moment,
    events::{self, Event},
};

/// What a retry does inside of an attempt of another.
///
/// Three attempts that make three attempts each are nine calls. Noticing that needs an operator, to whom
/// [`Event::NestedRetries`] tells it; only the author of the code can say which of the two
/// should retry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Nested {
    /// It makes its own attempts, as ever. The default.
    #[default]
    Independent,
    /// It makes one attempt and leaves the others to the retry around it. Where there is none around it, its own.
    Inherit,
}

/// What is around what runs now, as far as there is something to know of it.
#[derive(Clone, Copy, Debug, Default)]
struct Enclosing {
    /// The innermost that is at its second attempt, or at a later one.
    retried: Option<Retried>,
    deadline: Option<Deadline>,
}

/// A retry by its name, if it has one.
#[derive(Clone, Copy, Debug)]
struct Retried(Option<&'static str>);

/// When the attempts of a retry, or a call with a limit of time, have to be over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    end: Moment,
    clock: Clock,
}

thread_local! {
    /// Of how many retries an attempt is being made on this thread.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    /// What there is to know of them and of timeouts, the innermost last.
    static ENCLOSING: RefCell<Vec<Enclosing>> = const { RefCell::new(Vec::new()) };
}

/// As long as it lives, what runs on this thread is part of an attempt.
#[derive(Debug)]
pub struct Scope {
    is_noted: bool,
    /// It belongs to a thread.
    _thread: PhantomData<*const ()>,
}

impl Scope {
    /// Enters an attempt, and notes what is worth knowing of it.
    #[inline]
    pub(super) fn of(noted: Option<&Attempts<'_>>) -> Self {
        DEPTH.set(DEPTH.get().wrapping_add(1));
        if let Some(attempts) = noted {
            note(attempts);
        }
        Self { is_noted: noted.is_some(), _thread: PhantomData }
    }
}

impl Drop for Scope {
    #[inline]
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get().wrapping_sub(1));
        if self.is_noted {
            forget();
        }
    }
}

/// Notes what there is to know of the attempt. When the thread is about to end, that is nothing.
#[cold]
fn note(attempts: &Attempts<'_>) {
    let own = attempts.deadline().map(|(end, clock)| Deadline { end, clock });
    let retried = (attempts.made() > 0).then(|| Retried(attempts.name()));
    note_within(retried, own);
}

/// Notes what is new, beside what is known already.
fn note_within(retried: Option<Retried>, deadline: Option<Deadline>) {
    let before = enclosing();
    let deadline = match (deadline, before.deadline) {
        (Some(own), Some(outer)) if outer.is_before(own) => Some(outer),
        (own, outer) => own.or(outer),
    };
    let retried = retried.or(before.retried);
    _ = ENCLOSING.try_with(|all| all.borrow_mut().push(Enclosing { retried, deadline }));
}

#[cold]
fn forget() {
    _ = ENCLOSING.try_with(|all| all.borrow_mut().pop());
}

fn enclosing() -> Enclosing {
    let innermost = ENCLOSING.try_with(|all| all.borrow().last().copied());
    innermost.ok().flatten().unwrap_or_default()
}

impl Deadline {
    /// So long from now, by the clock of the task.
    #[cfg(feature = "tokio")]
    pub(crate) const fn in_task(now: Moment, limit: Duration) -> Self {
        Self { end: now.after(clock::micros(limit)), clock: Clock::Task }
    }

    /// Makes a part of a call that has to be over by then: retries inside of it know.
    #[cfg(feature = "tokio")]
    pub(crate) fn within<R>(self, part: impl FnOnce() -> R) -> R {
        struct Noted;

        impl Drop for Noted {
            fn drop(&mut self) {
                forget();
            }
        }

        note_within(None, Some(self));
        let _noted = Noted;
        part()
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

/// Whether an attempt of another retry is being made.
pub(super) fn is_nested() -> bool {
    DEPTH.get() > 0
}

/// Whether a sleep would end after what is around it has to be over.
pub(super) fn ends_too_late(delay: Duration) -> bool {
    enclosing().deadline.is_some_and(|deadline| delay > deadline.left())
}

/// Tells, once for each pair of names, that a retry is about to retry within one that retries.
pub(super) fn tell(inner: Option<&'static str>) {
    static TOLD: Mutex<BTreeSet<(Option<&str>, Option<&str>)>> = Mutex::new(BTreeSet::new());
    if let Some(Retried(outer)) = enclosing().retried
        && events::are_heard()
        && TOLD.lock().unwrap_or_else(PoisonError::into_inner).insert((outer, inner))
    {
        events::publish(Event::NestedRetries { outer, inner });
    }
}

/// A call that is an attempt whenever it is polled.
#[cfg(feature = "tokio")]
#[derive(Debug)]
pub struct Scoped<'a, F> {
    attempts: &'a Attempts<'a>,
    call: Pin<&'a mut F>,
    /// Of a further attempt. In a box, so that a future is larger by a pointer alone.
    #[cfg(feature = "tracing")]
    span: Option<Box<tracing::Span>>,
}

#[cfg(feature = "tokio")]
impl<'a, F> Scoped<'a, F> {
    #[inline]
    pub(super) const fn new(attempts: &'a Attempts<'a>, call: Pin<&'a mut F>) -> Self {
        Self {
            attempts,
            call,
            #[cfg(feature = "tracing")]
            span: None,
        }
    }

    #[cfg(feature = "tracing")]
    #[inline]
    pub(super) fn traced(self, span: Option<tracing::Span>) -> Self {
        Self { span: span.map(Box::new), ..self }
    }
}

#[cfg(feature = "tokio")]
impl<F: Future> Future for Scoped<'_, F> {
    type Output = F::Output;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let attempts = self.attempts;
        let _scope = Scope::of(attempts.worth_knowing(attempts.policy()));
        let this = &mut *self;
        #[cfg(feature = "tracing")]
        let _entered = this.span.as_ref().map(|span| span.enter());
        attempts.set_running(true);
        let poll = this.call.as_mut().poll(context);
        if poll.is_pending() {
            attempts.set_running(false);
        }
        poll
    }
}
