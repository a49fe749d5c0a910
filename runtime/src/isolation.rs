//! State of the program that a test can replace by its own: the registries of named policies, named retries, the counts of fallbacks and
//! timeouts, settings from outside, and the queue of events with its subscribers.
//!
//! Each such state is a static, and code obtains it by [`isolated`], which returns the static itself except on a thread that has entered an
//! [`Isolation`]. There it returns the counterpart of the static, which is created at its first use and never dropped.

#[cfg(feature = "testing")]
mod entered;

#[cfg(feature = "testing")]
pub(crate) use self::entered::is_entered;
#[cfg(feature = "testing")]
pub use self::entered::{Isolated, Isolation, Scoped, isolate};

/// Returns `shared`, or its counterpart in the isolation that this thread has entered, which `create` creates at the first use.
#[inline]
pub(crate) fn isolated<T: Send + Sync + 'static>(shared: &'static T, create: impl FnOnce() -> T) -> &'static T {
    #[cfg(feature = "testing")]
    if let Some(isolation) = entered::current() {
        return isolation.counterpart(shared, create);
    }
    _ = create;
    shared
}
