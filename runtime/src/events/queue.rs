//! The queue of events, and the threads that deliver them.
//!
//! One thread delivers at a time: the one that has the *turn*. A thread that publishes takes the turn if it is free. After
//! [`SHARE`] events the turn is on offer: the next thread that publishes waits until the callback that runs has returned, and
//! takes the turn over. So a call delivers for others only while no other call does.
//!
//! **Invariant:** a thread gives up the turn only when the queue is empty, when another thread takes it over, or after
//! [`ROUNDS`]. So no event stays behind while a subscriber causes no events itself.

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

/// Events that may wait before all but changes are dropped: a flood of rejections must not push changes out.
const MOST: usize = 1_024;
/// Changes that may wait.
const MOST_CHANGES: usize = 16_384;
/// Events that a thread delivers before another may take over.
const SHARE: usize = 32;
/// How often a thread goes on, beyond its share, with what is queued then. Bounds what a subscriber can cause that answers each
/// event with another.
const ROUNDS: u32 = 4;
/// Events that wait for delivery. A thread that changes the state of a circuit holds the lock of the hub meanwhile, so that
/// changes and events have one order.
///
/// **Invariant:** no code of the user runs while it is locked.
pub(crate) struct EventQueue {
    subscribers: Option<Arc<[Callback]>>,
    waiting: VecDeque<Event>,
    /// Events dropped since the last that was kept.
    lost: u64,
    turn: DispatchTurn,
    /// A thread waits to take over a turn that is on offer.
    has_heir: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum DispatchTurn {
    Free,
    Taken,
    /// Taken by a thread that has delivered its share.
    Offered,
}

/// A hub, and the threads that wait for its turn.
pub(super) struct Dispatcher {
    queue: Mutex<EventQueue>,
    /// The turn is free.
    free: Condvar,
    /// There are subscribers.
    has_subscribers: AtomicBool,
    /// Longest wait for a callback that runs on another thread.
    patience: Duration,
}

/// What a thread has delivered in its turn.
#[derive(Default)]
struct Delivered {
    of_share: usize,
    rounds: u32,
    left_of_round: usize,
}

thread_local! {
    /// This thread runs callbacks: it must not wait for their end.
    static DELIVERS: Cell<bool> = const { Cell::new(false) };
}

impl Dispatcher {
    /// A thread waits for another's callback so long at most: a callback that takes longer may wait for that very thread.
    pub(super) const fn new(patience: Duration) -> Self {
        let queue = EventQueue {
            subscribers: None,
            waiting: VecDeque::new(),
            lost: 0,
            turn: DispatchTurn::Free,
            has_heir: false,
        };
        Self { queue: Mutex::new(queue), free: Condvar::new(), has_subscribers: AtomicBool::new(false), patience }
    }

    pub(super) fn queue(&self) -> MutexGuard<'_, EventQueue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[inline]
    pub(super) fn is_heard(&self) -> bool {
        // ORDERING: Relaxed: a subscriber hears of what comes later.
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
        // What a callback owns is the user's: it is dropped without the lock.
        drop(before);
    }

    /// Replaces the subscribers; gives those before, to be dropped where no lock is held.
    fn replace(&self, queue: &mut EventQueue, subscribers: Option<Arc<[Callback]>>) -> Option<Arc<[Callback]>> {
        // ORDERING: Relaxed: see `is_heard`. Written under the lock, so that the last write is of the last subscribers.
        self.has_subscribers.store(subscribers.is_some(), Ordering::Relaxed);
        if subscribers.is_none() {
            (queue.waiting, queue.lost) = (VecDeque::new(), 0);
        }
        std::mem::replace(&mut queue.subscribers, subscribers)
    }

    /// Delivers what waits, unless another thread, or a caller of this one, is at it.
    pub(super) fn deliver(&self) {
        if !self.take_turn() {
            return;
        }
        DELIVERS.set(true);
        let mut delivered = Delivered::default();
        while let Some((event, callbacks)) = self.next(&mut delivered) {
            for callback in &*callbacks {
                contain(|| callback(&event));
            }
            // The last reference to a callback that has unsubscribed meanwhile, and with it what the callback owns.
            contain(|| drop(callbacks));
        }
        DELIVERS.set(false);
    }

    fn take_turn(&self) -> bool {
        let mut queue = self.queue();
        if queue.is_empty() {
            return false;
        }
        if queue.turn == DispatchTurn::Offered && !queue.has_heir && !DELIVERS.get() {
            queue.has_heir = true;
            let waited =
                self.free.wait_timeout_while(queue, self.patience, |queue| queue.turn == DispatchTurn::Offered);
            (queue, _) = waited.unwrap_or_else(PoisonError::into_inner);
            queue.has_heir = false;
        }
        let is_free = queue.turn == DispatchTurn::Free;
        if is_free {
            queue.turn = DispatchTurn::Taken;
        }
        is_free
    }

    /// The event to deliver next, and its receivers; or the end of the turn.
    fn next(&self, delivered: &mut Delivered) -> Option<(Event, Arc<[Callback]>)> {
        let mut queue = self.queue();
        let goes_on = delivered.goes_on(&mut queue);
        let next = if goes_on { queue.take_next() } else { None };
        if next.is_none() {
            queue.turn = DispatchTurn::Free;
            self.free.notify_one();
        }
        next
    }
}

impl Delivered {
    fn goes_on(&mut self, queue: &mut EventQueue) -> bool {
        if self.of_share < SHARE {
            self.of_share += 1;
            return true;
        }
        queue.turn = DispatchTurn::Offered;
        if queue.has_heir {
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
    /// Keeps an event for delivery, if there are subscribers and there is room.
    pub(crate) fn push(&mut self, event: impl FnOnce() -> Event) {
        if self.subscribers.is_none() {
            return;
        }
        if self.waiting.len() >= MOST_CHANGES {
            self.lost = self.lost.saturating_add(1);
            return;
        }
        let event = event();
        if self.waiting.len() >= MOST && !event.is_change() {
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
