//! Readings that all pages and requests share.
//!
//! There is no task except the [sampler](crate::sampler). The streams of open pages wait for the next reading, and the first of them whose
//! time has come begins it for all. A reading is made on a thread for blocking work, which holds the [turn](Turn) until the reading is
//! published: neither a request that is dropped nor a runtime that is not driven any more can let two readings overlap or keep others from
//! being made. After a reading, no other is made for nine times as long as it took, at most [`MAX_PAUSE`], so that readings take a tenth of
//! one core, unless a single one takes longer than 0.2 s.

use std::{
    mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant as SystemInstant, SystemTime},
};

use tokio::{
    sync::watch,
    task::spawn_blocking,
    time::{Instant, sleep_until, timeout_at},
};

use crate::{
    about::About, changes, entry::unix_seconds, log::Log, message::Message, opening::Opening, reader::Reader,
    reading::Reading,
};

/// The time between two readings while a page is open: short enough to appear immediate.
const TICK: Duration = Duration::from_millis(250);
/// The time between two full readings while a page is open. In between, only states are checked.
const FULL_INTERVAL: Duration = Duration::from_secs(1);
/// The share of the time that is not spent with readings, as a multiple of that which is.
const PAUSE_FACTOR: u32 = 9;
/// The maximum time between the end of a reading and the next one that is wanted. It bounds what a request waits for if a reading took long, because
/// the process was stopped for example.
const MAX_PAUSE: Duration = Duration::from_secs(2);

/// A reading, with the messages that lead to it from the previous one.
#[derive(Debug, Default)]
pub(crate) struct Published {
    pub(crate) reading: Arc<Reading>,
    /// The number of the reading from which the messages lead to this one; `None` if there was no stream to make them for.
    pub(crate) from: Option<u64>,
    /// The changes; `None` if there are none.
    pub(crate) changes: Option<Message>,
    /// The new events of the log; `None` if there are none.
    pub(crate) log: Option<Message>,
}

/// The readings of one dashboard.
#[derive(Debug)]
pub(crate) struct Feed {
    pub(crate) about: About,
    pub(crate) log: Arc<Log>,
    /// Locked until a reading is published, so that publications have the order of the readings.
    reader: Mutex<Reader>,
    pace: Mutex<Pace>,
    /// Notifies those who wait for the end of a reading, published or failed.
    ended: watch::Sender<()>,
    published: watch::Sender<Arc<Published>>,
    /// The first messages of the latest reading, while a stream sends them.
    opening: Mutex<Weak<Opening>>,
    /// The number of open streams with compression.
    pub(crate) compressed_streams: AtomicUsize,
}

/// The times of readings.
#[derive(Clone, Copy, Debug)]
struct Pace {
    /// True while there is a [`Turn`].
    is_reading: bool,
    /// True if a request waits for a full reading: the next reading is then a full one.
    is_full_wanted: bool,
    /// The earliest time of the next reading.
    next_allowed: Instant,
    /// The time of the next reading for open pages.
    next_tick: Instant,
    /// The time at which the latest full reading began, by the clock of the runtime, which can be paused, and by that of the system.
    last_full: Option<(Instant, SystemInstant)>,
}

/// A reading that was begun. There is one at a time; the next can begin when it is dropped.
struct Turn {
    feed: Arc<Feed>,
    is_full: bool,
    begun: Instant,
    begun_by_system: SystemInstant,
}

impl Feed {
    pub(crate) fn new(about: About) -> Arc<Self> {
        let log = Arc::new(Log::default());
        Arc::new(Self {
            about,
            reader: Mutex::new(Reader::new(log.clone())),
            log,
            pace: Mutex::new(Pace {
                is_reading: false,
                is_full_wanted: false,
                next_allowed: Instant::now(),
                next_tick: Instant::now(),
                last_full: None,
            }),
            ended: watch::Sender::default(),
            published: watch::Sender::default(),
            opening: Mutex::default(),
            compressed_streams: AtomicUsize::new(0),
        })
    }

    /// Returns a full reading that began at `earliest` or later.
    pub(crate) async fn reading_since(self: &Arc<Self>, earliest: SystemInstant) -> Arc<Reading> {
        let mut ended = self.ended.subscribe();
        loop {
            let (pace, turn) = {
                let mut pace = lock(&self.pace);
                if pace.last_full.is_some_and(|(_, at)| at >= earliest) {
                    break;
                }
                pace.is_full_wanted = true;
                let turn = self.begin(&mut pace);
                (*pace, turn)
            };
            if let Some(turn) = turn {
                if spawn_blocking(move || turn.read()).await.is_err() {
                    break;
                }
            } else if pace.is_reading {
                // The sender is a field of the feed, so the channel is not closed.
                _ = ended.changed().await;
            } else {
                sleep_until(pace.next_allowed).await;
            }
        }
        self.published.borrow().reading.clone()
    }

    /// Returns a full reading that begins after this call.
    pub(crate) async fn fresh_reading(self: &Arc<Self>) -> Arc<Reading> {
        self.reading_since(SystemInstant::now()).await
    }

    /// Returns the first messages for a stream, and the publications after them.
    pub(crate) async fn open(self: &Arc<Self>) -> (Arc<Opening>, watch::Receiver<Arc<Published>>) {
        let now = SystemInstant::now();
        let earliest = now.checked_sub(FULL_INTERVAL).unwrap_or(now);
        self.reading_since(earliest).await;
        let mut publications = self.published.subscribe();
        let reading = publications.borrow_and_update().reading.clone();
        let shared = lock(&self.opening).upgrade().filter(|opening| opening.reading.number == reading.number);
        if let Some(opening) = shared {
            return (opening, publications);
        }
        let feed = self.clone();
        let made = spawn_blocking(move || Arc::new(Opening::new(reading, &feed.about))).await;
        let opening = made.unwrap_or_else(|_| Arc::new(Opening::new(Arc::default(), &self.about)));
        *lock(&self.opening) = Arc::downgrade(&opening);
        (opening, publications)
    }

    /// Waits for the next publication, and makes the readings for it if no other stream does. Returns `None` at `deadline`.
    pub(crate) async fn next(
        self: &Arc<Self>,
        publications: &mut watch::Receiver<Arc<Published>>,
        deadline: Instant,
    ) -> Option<Arc<Published>> {
        loop {
            let next_tick = self.pace().next_tick;
            // The sender is a field of the feed, so the channel is not closed.
            if timeout_at(next_tick.min(deadline), publications.changed()).await.is_ok() {
                return Some(publications.borrow_and_update().clone());
            }
            if Instant::now() >= deadline {
                return None;
            }
            // The reading is not waited for here, so a `ping` is sent in time however long it takes.
            self.tick();
        }
    }

    /// Begins a reading for open pages if it is time and none is in progress.
    fn tick(self: &Arc<Self>) {
        let turn = {
            let mut pace = lock(&self.pace);
            let now = Instant::now();
            if now < pace.next_tick {
                return;
            }
            // If the reading fails, the next attempt is not made at once.
            pace.next_tick = now + TICK;
            pace.is_full_wanted |= pace.last_full.is_none_or(|(at, _)| at.elapsed() + TICK / 2 >= FULL_INTERVAL);
            self.begin(&mut pace)
        };
        if let Some(turn) = turn {
            drop(spawn_blocking(move || turn.read()));
        }
    }

    /// Begins a reading, unless one is in progress or the pause after the last one has not ended.
    fn begin(self: &Arc<Self>, pace: &mut Pace) -> Option<Turn> {
        let begun = Instant::now();
        if pace.is_reading || begun < pace.next_allowed {
            return None;
        }
        pace.is_reading = true;
        pace.next_tick = begun + TICK;
        let is_full = mem::take(&mut pace.is_full_wanted);
        Some(Turn { feed: self.clone(), is_full, begun, begun_by_system: SystemInstant::now() })
    }

    /// Calls `use_reader` on a thread for blocking work; `None` if the runtime shuts down.
    pub(crate) async fn with_reader<T: Send + 'static>(
        self: &Arc<Self>,
        use_reader: impl FnOnce(&Reader) -> T + Send + 'static,
    ) -> Option<T> {
        let feed = self.clone();
        spawn_blocking(move || use_reader(&lock(&feed.reader))).await.ok()
    }

    /// Makes and publishes a reading. Returns its duration, by the clock of the system, since that of the runtime can be paused.
    fn publish(&self, is_full: bool) -> Duration {
        let mut reader = lock(&self.reader);
        // Without the time for which others had the lock.
        let (begun, now) = (SystemInstant::now(), SystemTime::now());
        let before = self.published.borrow().reading.clone();
        let reading = if is_full { reader.read(now) } else { reader.check(now) };
        let has_streams = self.published.receiver_count() > 0;
        let changes = if has_streams { changes::between(&before, &reading).map(Message::new) } else { None };
        let log = if has_streams { self.log_between(&before, &reading) } else { None };
        // ORDERING: Relaxed: a hint. A message that is not compressed here is compressed by the first stream that sends it.
        if self.compressed_streams.load(Ordering::Relaxed) > 0 {
            for message in [&changes, &log].into_iter().flatten() {
                message.bytes(true);
            }
        }
        let from = has_streams.then_some(before.number);
        self.published.send_replace(Arc::new(Published { reading, from, changes, log }));
        begun.elapsed()
    }

    /// Returns the events of the log between two readings.
    pub(crate) fn log_between(&self, old: &Reading, new: &Reading) -> Option<Message> {
        let count = usize::try_from(new.events.saturating_sub(old.events)).unwrap_or(usize::MAX);
        (count > 0).then(|| Message::new(changes::log(&self.log.after(old.events, None, count))))
    }

    /// Returns the present time, in seconds since 1970.
    pub(crate) fn now() -> f64 {
        unix_seconds(SystemTime::now())
    }

    fn pace(&self) -> Pace {
        *lock(&self.pace)
    }
}

impl Turn {
    /// Makes and publishes the reading, and sets the times of the next ones.
    fn read(self) {
        let pause = pause_after(self.feed.publish(self.is_full));
        let mut pace = lock(&self.feed.pace);
        pace.next_allowed = Instant::now() + pause;
        pace.next_tick = (self.begun + TICK).max(pace.next_allowed);
        if self.is_full {
            pace.last_full = Some((self.begun, self.begun_by_system));
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        lock(&self.feed.pace).is_reading = false;
        self.feed.ended.send_replace(());
    }
}

/// Returns the time after a reading of this duration in which no other is made.
fn pause_after(reading: Duration) -> Duration {
    reading.saturating_mul(PAUSE_FACTOR).min(MAX_PAUSE)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
