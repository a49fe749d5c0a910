//! Events: changes of state, rejected calls, retries and fallbacks, delivered to subscribers as they happen.
//!
//! ```
//! use steadfast::{BreakerConfig, CircuitBreaker, events::{self, Event}};
//!
//! static MAIL: CircuitBreaker = CircuitBreaker::new("mail", BreakerConfig::new());
//!
//! let subscription = events::subscribe(|event: &Event| println!("{event}")); // circuit `mail`: closed -> forced-open
//! MAIL.force_open();
//! drop(subscription); // or `subscription.forever()`, for a subscription that never ends
//! ```
//!
//! # Delivery
//!
//! Every subscriber receives every event, one at a time, in the order in which the events happened. No lock is held during a callback,
//! so a callback can use the whole library.
//!
//! The thread that causes an event delivers it, and one thread delivers at a time. If another thread is delivering already, the event
//! is queued for that thread, and the call continues. After 32 events, the next thread that causes an event takes over the delivery: it
//! waits for the running callback to return, for at most 50 ms, and delivers up to 32 events itself. If no other thread causes events,
//! the first one delivers the whole queue.
//!
//! A subscriber may cause events itself. To bound the work of a single call, a thread stops after 32 events and four further rounds, even
//! if no other thread takes over. A round delivers the events that are queued when it begins. The remaining events are delivered with the
//! next event.
//!
//! A slow callback blocks the delivering thread and the events behind it, so pass long work to a channel. A callback that panics stays
//! subscribed; the panic is caught, and the other subscribers receive the event.
//!
//! The queue is bounded: beyond 1,024 events only changes of state and settings are added, and beyond 16,384 nothing. An
//! [`Event::EventsLost`] with the number of dropped events takes their place.
//!
//! Without subscribers nothing is queued, and an event costs one atomic load.

mod dispatcher;
mod event;
#[cfg(feature = "tracing")]
pub(crate) mod tracing;

use std::{
    fmt,
    sync::{Arc, MutexGuard},
    time::Duration,
};

use self::dispatcher::{Callback, Dispatcher, EventQueue};
pub use self::event::Event;
use crate::{ConfigChange, ConfigLayer, isolation::isolated};

/// Subscribes a callback, which is called with every event until the returned [`Subscription`] is dropped.
///
/// The [module documentation](self) describes order and threads.
pub fn subscribe(callback: impl Fn(&Event) + Send + Sync + 'static) -> Subscription {
    let (callback, dispatcher): (Callback, _) = (Arc::new(callback), dispatcher());
    dispatcher.subscribe(&callback);
    Subscription { callback: Some(callback), dispatcher }
}

/// A subscribed callback, which is unsubscribed when this is dropped.
///
/// An event whose delivery has begun at that moment can still arrive.
#[must_use = "dropping it unsubscribes at once; `forever` keeps it"]
pub struct Subscription {
    /// `None` if the subscription never ends.
    callback: Option<Callback>,
    dispatcher: &'static Dispatcher,
}

impl Subscription {
    /// Unsubscribes, as dropping does.
    pub fn unsubscribe(self) {}

    /// Keeps the callback subscribed until the program ends.
    pub fn forever(mut self) {
        self.callback = None;
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if let Some(callback) = self.callback.take() {
            self.dispatcher.unsubscribe(&callback);
        }
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").finish_non_exhaustive()
    }
}

/// The maximum time to wait for a callback that runs on another thread.
const MAX_HANDOVER_WAIT: Duration = Duration::from_millis(50);

/// Returns the dispatcher of the whole program, or of the isolation that this thread has entered.
fn dispatcher() -> &'static Dispatcher {
    static EVENTS: Dispatcher = Dispatcher::new(MAX_HANDOVER_WAIT);
    isolated(&EVENTS, || Dispatcher::new(MAX_HANDOVER_WAIT))
}

/// Locks the queue of events. Breakers change their state under this lock, so that the changes and their events have the same order.
pub(crate) fn queue() -> MutexGuard<'static, EventQueue> {
    dispatcher().queue()
}

/// Returns true if events about changes, and warnings, have a receiver: a subscriber, or an enabled `tracing` level.
pub(crate) fn has_subscribers() -> bool {
    #[cfg(feature = "tracing")]
    if tracing::changes_enabled() {
        return true;
    }
    dispatcher().has_subscribers()
}

/// Returns true if events about calls have a receiver: a subscriber, or an enabled `tracing` level.
#[inline]
pub(crate) fn has_receivers() -> bool {
    #[cfg(feature = "tracing")]
    if tracing::calls_enabled() {
        return true;
    }
    dispatcher().has_subscribers()
}

/// Emits an event about a call, if it has a receiver. Its order relative to changes of state is unspecified.
#[inline]
pub(crate) fn emit(event: impl FnOnce() -> Event) {
    if has_receivers() {
        publish(event());
    }
}

/// Emits an event about a call that has the level `WARN` in `tracing`, if it has a receiver.
pub(crate) fn emit_warning(event: impl FnOnce() -> Event) {
    if has_subscribers() {
        publish(event());
    }
}

/// Emits an event about a replaced layer of settings, if it has a receiver. The caller holds no lock.
pub(crate) fn config_applied(layer: ConfigLayer, changes: impl FnOnce() -> Vec<ConfigChange>) {
    if has_subscribers() {
        publish(Event::ConfigApplied { layer, changes: changes().into() });
    }
}

/// Emits an event without a check for receivers. Its order relative to changes of state is unspecified. The caller holds no lock.
pub(crate) fn publish(event: Event) {
    #[cfg(feature = "tracing")]
    tracing::emit(&event);
    queue().push(|| event);
    deliver();
}

/// Delivers the queued events, unless another thread, or a callback on this thread, is delivering already.
pub(crate) fn deliver() {
    dispatcher().deliver();
}
