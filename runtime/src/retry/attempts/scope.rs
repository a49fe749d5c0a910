//! Looks up the scope around a call, and publishes each attempt as the scope of the calls inside it: see [`stack`](crate::stack).

#[cfg(feature = "tokio")]
use std::{
    future::Future,
    pin::Pin,
    task::{Poll, Wake},
};
use std::{
    sync::Arc,
    task::{Context, Waker},
};

use super::{Attempts, Extras, OnDrop, ScopeLookup, sleep::OwnStop};
#[cfg(feature = "tokio")]
use crate::stack::{LastRejection, TaskScope, clear_rejection};
use crate::{
    stack::{Deadline, Details, FoundScope, PackedScope, RetryName, SleepClock, ThreadScope},
    stop::Relay,
};

impl Attempts<'_> {
    /// Stores the scope around the call.
    pub(super) fn store_scope(&mut self, FoundScope { is_in_attempt, is_complete, enclosing }: FoundScope) {
        self.is_nested = is_in_attempt;
        self.lookup = if is_complete { ScopeLookup::Complete } else { ScopeLookup::Incomplete };
        self.deadline = enclosing.deadline.or(self.deadline);
        if let Some(retries) = enclosing.retries {
            self.extras_mut().enclosing = *retries;
        }
    }

    /// Looks up the scope around code that is not `async`, which stays the same during the call.
    fn look_up_by_thread(&mut self) {
        if self.lookup == ScopeLookup::Complete {
            return;
        }
        let innermost = PackedScope::current();
        if innermost.is_empty() {
            self.lookup = ScopeLookup::Complete;
        } else {
            self.store_scope(FoundScope::of_thread(innermost));
        }
    }

    /// Looks up the scope around a call that a task polls.
    #[cfg(feature = "tokio")]
    fn look_up_by_task(&mut self, context: &Context<'_>) {
        match self.lookup {
            ScopeLookup::FastPath | ScopeLookup::Pending | ScopeLookup::Incomplete => {
                let innermost = PackedScope::current();
                if innermost.is_empty() {
                    self.lookup = ScopeLookup::Complete;
                } else {
                    self.store_scope(FoundScope::of_task(innermost, context));
                }
            }
            ScopeLookup::FastPathEmpty | ScopeLookup::Complete => self.lookup = ScopeLookup::Complete,
        }
    }

    /// Leaves the fast path after the first attempt.
    pub(super) fn leave_fast_path(&mut self) {
        match (self.clock, self.lookup) {
            (SleepClock::Thread, _) => self.look_up_by_thread(),
            // The first poll found an empty scope: otherwise it would have left the fast path.
            (SleepClock::Task, ScopeLookup::FastPath | ScopeLookup::FastPathEmpty) => {
                self.lookup = ScopeLookup::Complete;
            }
            (SleepClock::Task, _) => {}
        }
    }

    /// Leaves the fast path, since the call is about to be suspended.
    pub(super) fn suspend(&mut self) {
        self.leave_fast_path();
        if self.on_drop == OnDrop::CountRunning {
            self.on_drop = OnDrop::CountWaiting;
        }
    }

    /// Returns the details that the attempt publishes for the calls inside it: those of the enclosing calls, and its own.
    #[inline]
    fn details(&self) -> Details {
        let retrying = self.extras.as_ref().and_then(|extras| extras.enclosing.retrying);
        let mut details = Details { retrying, later_attempt: None, deadline: self.deadline };
        if self.made > 0 {
            details.retrying = Some(RetryName(self.name()));
            details.later_attempt = Some(self.made.saturating_add(1));
        }
        if let Some(limit) = self.policy.max_elapsed {
            details.add_deadline(Deadline::new(self.started, limit, self.clock));
        }
        details
    }

    /// Returns the stop signals that the attempt publishes: those of the enclosing calls, and its own.
    #[inline]
    fn stop_signals(&self) -> Vec<Arc<Relay>> {
        self.extras.as_ref().map_or_else(Vec::new, |extras| extras.stop_signals())
    }

    /// Enters an attempt of code that is not `async`. The thread cannot poll the stop signal during the attempt, so the signal wakes the
    /// relay instead.
    #[cold]
    #[inline(never)]
    pub(super) fn enter_with_details(&mut self) -> ThreadScope {
        self.look_up_by_thread();
        if self.extras.is_some() { self.enter_with_extras() } else { ThreadScope::enter(self.details(), Vec::new()) }
    }

    /// Like [`enter_with_details`](Self::enter_with_details) for a call with extras.
    #[cold]
    #[inline(never)]
    fn enter_with_extras(&mut self) -> ThreadScope {
        self.count_retry();
        if let Some(stop) = self.extras.as_mut().and_then(|extras| extras.stop.as_mut()) {
            // Each attempt has a new relay: a wake-up without the signal may have set the previous one.
            *stop = OwnStop::new(stop.signal);
            let waker = Waker::from(stop.relay.clone());
            stop.poll(&mut Context::from_waker(&waker));
        }
        ThreadScope::enter(self.details(), self.stop_signals())
    }

    /// The span of the next attempt; `None` for the first.
    #[cfg(feature = "tracing")]
    #[inline]
    pub(super) fn span(&self) -> Option<tracing::Span> {
        if self.made == 0 { None } else { crate::events::tracing::attempt(self.name(), self.made.saturating_add(1)) }
    }
}

impl Extras<'_> {
    fn stop_signals(&self) -> Vec<Arc<Relay>> {
        let own = self.stop.as_ref().map(|stop| &stop.relay);
        self.enclosing.stop_signals.iter().chain(own).cloned().collect()
    }
}

#[cfg(feature = "tokio")]
impl Attempts<'_> {
    /// Enters an attempt for one poll.
    #[inline]
    fn enter(&mut self, context: &mut Context<'_>) -> TaskScope {
        clear_rejection();
        if self.lookup.is_fast_path()
            && let Some(scope) = TaskScope::enter_outermost(context, PackedScope::IN_ATTEMPT)
        {
            return scope;
        }
        self.enter_slow(context)
    }

    /// Enters an attempt off the fast path, or with a scope around it.
    #[inline(never)]
    fn enter_slow(&mut self, context: &mut Context<'_>) -> TaskScope {
        self.look_up_by_task(context);
        if self.on_drop == OnDrop::CountWaiting {
            self.on_drop = OnDrop::CountRunning;
        }
        let is_incomplete = self.lookup == ScopeLookup::Incomplete;
        let scope = PackedScope::IN_ATTEMPT;
        let scope = if is_incomplete { scope.with(PackedScope::INCOMPLETE) } else { scope };
        if self.extras.is_some() {
            self.enter_slow_with_extras(context, scope)
        } else {
            TaskScope::enter(context, scope, self.details(), Vec::new())
        }
    }

    /// Like [`enter_slow`](Self::enter_slow) for a call with extras.
    #[cold]
    #[inline(never)]
    fn enter_slow_with_extras(&mut self, context: &Context<'_>, scope: PackedScope) -> TaskScope {
        if let Some(rejection) = self.extras.as_mut().and_then(|extras| extras.rejection.take()) {
            rejection.record();
        }
        self.count_retry();
        self.poll_stop(context);
        TaskScope::enter(context, scope, self.details(), self.stop_signals())
    }

    /// Polls the stop signal, if there is one. It wakes both the task and the relay: code that is not `async` may block the thread within
    /// this poll, and its waits watch the relay.
    fn poll_stop(&mut self, context: &Context<'_>) {
        if let Some(stop) = self.extras.as_mut().and_then(|extras| extras.stop.as_mut())
            && !stop.relay.is_set()
        {
            let waker = RelayAndTask { relay: stop.relay.clone(), task: context.waker().clone() };
            stop.poll(&mut Context::from_waker(&Waker::from(Arc::new(waker))));
        }
    }

    /// Saves the rejection of an attempt that is suspended.
    ///
    /// The ABI `"C"` has the same reason as that of [`record_success`](crate::breaker::record_success).
    #[allow(improper_ctypes_definitions, reason = "only Rust code calls this function")]
    #[inline(never)]
    extern "C" fn suspend_attempt(&mut self) {
        if self.lookup == ScopeLookup::FastPath && self.on_drop == OnDrop::Nothing {
            self.lookup = ScopeLookup::FastPathEmpty; // a scope would have ended the fast path
        } else {
            self.suspend();
        }
        if let Some(rejection) = LastRejection::take() {
            self.leave_fast_path();
            self.extras_mut().rejection = Some(rejection);
        }
    }
}

/// One attempt of a task: enters the attempt's scope at each poll.
#[cfg(feature = "tokio")]
#[derive(Debug)]
pub struct AttemptFuture<'a, 'p, F> {
    attempts: &'a mut Attempts<'p>,
    call: Pin<&'a mut F>,
    /// The span of a retry. Boxed, so that a future grows by a pointer only.
    #[cfg(feature = "tracing")]
    span: Option<Box<tracing::Span>>,
}

#[cfg(feature = "tokio")]
impl<'a, 'p, F> AttemptFuture<'a, 'p, F> {
    #[inline]
    pub(super) const fn new(attempts: &'a mut Attempts<'p>, call: Pin<&'a mut F>) -> Self {
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
impl<F: Future> Future for AttemptFuture<'_, '_, F> {
    type Output = F::Output;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        let _scope = this.attempts.enter(context);
        #[cfg(feature = "tracing")]
        let _entered = this.span.as_ref().map(|span| span.enter());
        let poll = this.call.as_mut().poll(context);
        if poll.is_pending() {
            this.attempts.suspend_attempt();
        }
        poll
    }
}

/// A waker that sets a relay and wakes a task.
#[cfg(feature = "tokio")]
struct RelayAndTask {
    relay: Arc<Relay>,
    task: Waker,
}

#[cfg(feature = "tokio")]
impl Wake for RelayAndTask {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.relay.set();
        self.task.wake_by_ref();
    }
}
