//! The queue of events, and their delivery by the threads that publish them.
//!
//! One thread delivers at a time: it holds the *turn*. A thread that publishes takes the turn if it is free. After [`SHARE`] events
//! the turn is offered: the next thread that publishes waits for the running callback to return and takes over the turn. A call
//! therefore delivers more than its share only while no other thread publishes.
//!
//! **Invariant:** a thread gives up the turn only if the queue is empty, if another thread takes it over, or after [`ROUNDS`]. No
//! event remains in the queue unless subscribers cause events themselves.

use std::{
    cell::Cell,
    collections::VecDeque,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use super::Event;
use crate::panics::contain;

pub(super) type Callback = Arc<dyn Fn(&Event) + Send + Sync>;

/// The length from which the queue accepts only changes, so that a flood of rejections does not displace changes.
const MAX_EVENTS: usize = 1_024;
/// The length from which the queue accepts nothing.
const MAX_CHANGES: usize = 16_384;
/// The number of events that a thread delivers before it offers the turn.
const SHARE: usize = 32;
/// The number of rounds that a thread delivers after its share if it has no successor. A round consists of the events that are queued when
/// it begins. The limit bounds the work of one call if a subscriber publishes an event for each event.
const ROUNDS: u32 = 4;

/// The events to deliver. A thread that changes the state of a circuit holds the lock of the queue, so that changes and their events
/// have the same order.
///
/// **Invariant:** no user code runs while the queue is locked.
pub(crate) struct EventQueue {
    subscribers: Option<Arc<[Callback]>>,
    waiting: VecDeque<Event>,
    /// The number of events dropped since the last one that was queued.
    lost: u64,
    turn: DispatchTurn,
    /// True while a thread waits to take over the offered turn.
    has_successor: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum DispatchTurn {
    Free,
    Taken,
    /// Taken by a thread that has delivered its share; another thread can take it over.
    Offered,
}

/// A queue of events with its subscribers.
pub(super) struct Dispatcher {
    queue: Mutex<EventQueue>,
    /// Notified when the turn becomes free.
    free: Condvar,
    /// True if there are subscribers. Readable without the lock.
    has_subscribers: AtomicBool,
    /// The maximum time to wait for a callback that runs on another thread.
    max_wait: Duration,
}

/// The deliveries of a thread in its current turn.
#[derive(Default)]
struct Delivered {
    /// The number of events of the share that have been delivered.
    of_share: usize,
    /// The number of rounds that have begun.
    rounds: u32,
    /// The number of events of the current round that are not yet delivered.
    left_of_round: usize,
}

thread_local! {
    /// True while this thread runs callbacks. The thread holds the turn then, and must not wait for it.
    static IS_DELIVERING: Cell<bool> = const { Cell::new(false) };
}

impl Dispatcher {
    /// Creates a dispatcher whose threads wait at most `max_wait` for a callback that runs on another thread. The limit ends the deadlock
    /// with a callback that waits for the waiting thread.
    pub(super) const fn new(max_wait: Duration) -> Self {
        let queue = EventQueue {
            subscribers: None,
            waiting: VecDeque::new(),
            lost: 0,
            turn: DispatchTurn::Free,
            has_successor: false,
        };
        Self { queue: Mutex::new(queue), free: Condvar::new(), has_subscribers: AtomicBool::new(false), max_wait }
    }

    pub(super) fn queue(&self) -> MutexGuard<'_, EventQueue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[inline]
    pub(super) fn has_subscribers(&self) -> bool {
        // ORDERING: Relaxed: an event that happens after `subscribe` has returned sees the flag. A concurrent event may miss the new
        // subscriber. The subscribers themselves are read under the lock of the queue.
        self.has_subscribers.load(Ordering::Relaxed)
    }

    pub(super) fn subscribe(&self, callback: &Callback) {
        let before = {
            let mut queue = self.queue();
            let all = queue.subscribers().cloned().chain([callback.clone()]).collect();
            self.replace(&mut queue, Some(all))
        };
        drop(before);
    }

    pub(super) fn unsubscribe(&self, callback: &Callback) {
        let before = {
            let mut queue = self.queue();
            let others: Arc<[_]> = queue.subscribers().filter(|other| !Arc::ptr_eq(other, callback)).cloned().collect();
            self.replace(&mut queue, (!others.is_empty()).then_some(others))
        };
        // A callback owns values of the user, so it is dropped after the lock is released.
        drop(before);
    }

    /// Replaces the subscribers. Returns the previous ones, which the caller drops after releasing the lock.
    fn replace(&self, queue: &mut EventQueue, subscribers: Option<Arc<[Callback]>>) -> Option<Arc<[Callback]>> {
        // ORDERING: Relaxed: see `has_subscribers`. It is written under the lock, so the last write matches the last subscribers.
        self.has_subscribers.store(subscribers.is_some(), Ordering::Relaxed);
        if subscribers.is_none() {
            (queue.waiting, queue.lost) = (VecDeque::new(), 0);
        }
        std::mem::replace(&mut queue.subscribers, subscribers)
    }

    /// Delivers the queued events, unless another thread, or a callback on this thread, is delivering already.
    pub(super) fn deliver(&self) {
        if !self.take_turn() {
            return;
        }
        IS_DELIVERING.set(true);
        let mut delivered = Delivered::default();
        while let Some((event, callbacks)) = self.next(&mut delivered) {
            // All other events went to `tracing` when they happened.
            #[cfg(feature = "tracing")]
            if matches!(event, Event::EventsLost { .. }) {
                super::tracing::emit(&event);
            }
            for callback in &*callbacks {
                contain(|| callback(&event));
            }
            // This may be the last reference to a callback that was unsubscribed during its call.
            contain(|| drop(callbacks));
        }
        IS_DELIVERING.set(false);
    }

    /// Takes the turn, waiting for it if it is offered. Returns false if the queue is empty or the turn is not free.
    fn take_turn(&self) -> bool {
        let mut queue = self.queue();
        if queue.is_empty() {
            return false;
        }
        if queue.turn == DispatchTurn::Offered && !queue.has_successor && !IS_DELIVERING.get() {
            queue.has_successor = true;
            let waited =
                self.free.wait_timeout_while(queue, self.max_wait, |queue| queue.turn == DispatchTurn::Offered);
            (queue, _) = waited.unwrap_or_else(PoisonError::into_inner);
            queue.has_successor = false;
        }
        let is_free = queue.turn == DispatchTurn::Free;
        if is_free {
            queue.turn = DispatchTurn::Taken;
        }
        is_free
    }

    /// Takes the next event and its subscribers, or ends the turn.
    fn next(&self, delivered: &mut Delivered) -> Option<(Event, Arc<[Callback]>)> {
        let mut queue = self.queue();
        let continues = delivered.continues(&mut queue);
        let next = if continues { queue.take_next() } else { None };
        if next.is_none() {
            queue.turn = DispatchTurn::Free;
            self.free.notify_one();
        }
        next
    }
}

impl Delivered {
    /// Counts the next event. Returns false if the turn ends instead, because a successor is waiting or the last round is over.
    fn continues(&mut self, queue: &mut EventQueue) -> bool {
        if self.of_share < SHARE {
            self.of_share += 1;
            return true;
        }
        queue.turn = DispatchTurn::Offered;
        if queue.has_successor {
            return false;
        }
        if self.left_of_round == 0 {
            if self.rounds == ROUNDS {
                return false;
            }
            self.rounds += 1;
            self.left_of_round = queue.waiting.len().max(1);
        }
        self.left_of_round -= 1;
        true
    }
}

impl EventQueue {
    /// Queues an event. It is discarded if there are no subscribers, and counted as lost if the queue is full.
    pub(crate) fn push(&mut self, event: impl FnOnce() -> Event) {
        if self.subscribers.is_none() {
            return;
        }
        if self.waiting.len() >= MAX_CHANGES {
            self.lost = self.lost.saturating_add(1);
            return;
        }
        let event = event();
        if self.waiting.len() >= MAX_EVENTS && !event.is_change() {
            self.lost = self.lost.saturating_add(1);
            return;
        }
        let lost = self.take_lost();
        self.waiting.extend(lost);
        self.waiting.push_back(event);
    }

    fn subscribers(&self) -> impl Iterator<Item = &Callback> {
        self.subscribers.iter().flat_map(|callbacks| callbacks.iter())
    }

    fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.lost == 0
    }

    /// Returns the event about lost events, if there are any, and resets their number.
    fn take_lost(&mut self) -> Option<Event> {
        let events = std::mem::take(&mut self.lost);
        (events > 0).then_some(Event::EventsLost { events })
    }

    fn take_next(&mut self) -> Option<(Event, Arc<[Callback]>)> {
        let event = self.waiting.pop_front().or_else(|| self.take_lost());
        event.zip(self.subscribers.clone())
    }
}

#[cfg(test)]
mod tests;
