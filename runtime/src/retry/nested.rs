//! Retries within retries, and attempts that a task polls.
//!
//! A retried function that is called by a retried function multiplies attempts: three times three are nine. [`scope`](crate::scope) is
//! how the inner one knows.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};
#[cfg(feature = "tokio")]
use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

#[cfg(feature = "tokio")]
use super::attempts::Attempts;
use crate::{
    events::{self, Event},
    scope::Retried,
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

/// Tells, once for each pair of names, that a retry is about to retry within one that retries.
pub(super) fn tell(Retried(outer): Retried, inner: Option<&'static str>) {
    static TOLD: Mutex<BTreeSet<(Option<&str>, Option<&str>)>> = Mutex::new(BTreeSet::new());
    if events::has_subscribers() && TOLD.lock().unwrap_or_else(PoisonError::into_inner).insert((outer, inner)) {
        events::publish(Event::NestedRetries { outer, inner });
    }
}

/// A call that is an attempt whenever it is polled.
#[cfg(feature = "tokio")]
#[derive(Debug)]
pub struct Scoped<'a, 'p, F> {
    attempts: &'a mut Attempts<'p>,
    call: Pin<&'a mut F>,
    /// Of a further attempt. In a box, so that a future is larger by a pointer alone.
    #[cfg(feature = "tracing")]
    span: Option<Box<tracing::Span>>,
}

#[cfg(feature = "tokio")]
impl<'a, 'p, F> Scoped<'a, 'p, F> {
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
impl<F: Future> Future for Scoped<'_, '_, F> {
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
