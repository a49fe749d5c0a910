//! Readings that all pages and requests share.
//!
//! There is no task except the [sampler](crate::sampler). The streams of open pages wait for the next reading, and the first of them whose
//! time has come makes it for all. A reading is made on a thread for blocking work. After it, no other is made for at least nine times as long as it took, so that
//! readings take at most a tenth of one core.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant as SystemInstant, SystemTime},
};

use tokio::{
    sync::{Mutex as AsyncMutex, watch},
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

/// A reading, with the messages that lead to it from the previous one.
#[derive(Debug, Default)]
pub(crate) struct Published {
    pub(crate) reading: Arc<Reading>,
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
    reader: Mutex<Reader>,
    /// Held by the task that makes a reading.
    turn: AsyncMutex<()>,
    pace: Mutex<Pace>,
    published: watch::Sender<Arc<Published>>,
    /// The first messages of the latest reading, while a stream sends them.
    opening: Mutex<Weak<Opening>>,
    /// The number of open streams with compression.
    pub(crate) compressed_streams: AtomicUsize,
}

/// The times of readings.
#[derive(Clone, Copy, Debug)]
struct Pace {
    /// The earliest time of the next reading.
    next_allowed: Instant,
    /// The time of the next reading for open pages.
    next_tick: Instant,
    /// The time at which the latest full reading began, by the clock of the runtime, which can be paused, and by that of the system.
    last_full: Option<(Instant, SystemInstant)>,
}

impl Feed {
    pub(crate) fn new(about: About) -> Arc<Self> {
        let log = Arc::new(Log::default());
        Arc::new(Self {
            about,
            reader: Mutex::new(Reader::new(log.clone())),
            log,
            turn: AsyncMutex::new(()),
            pace: Mutex::new(Pace { next_allowed: Instant::now(), next_tick: Instant::now(), last_full: None }),
            published: watch::Sender::default(),
            opening: Mutex::default(),
            compressed_streams: AtomicUsize::new(0),
        })
    }

    /// Returns a full reading that began at `earliest` or later.
    pub(crate) async fn reading_since(self: &Arc<Self>, earliest: SystemInstant) -> Arc<Reading> {
        let is_new = |pace: Pace| pace.last_full.is_some_and(|(_, at)| at >= earliest);
        while !is_new(self.pace()) {
            let _turn = self.turn.lock().await;
            if is_new(self.pace()) {
                break;
            }
            sleep_until(self.pace().next_allowed).await;
            if !self.read(true).await {
                break;
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
            let _turn = self.turn.lock().await;
            let pace = self.pace();
            if pace.next_tick == next_tick {
                let is_full = pace.last_full.is_none_or(|(at, _)| at.elapsed() + TICK / 2 >= FULL_INTERVAL);
                self.read(is_full).await;
            }
        }
    }

    /// Makes a full reading, which includes a sample of the counts if one is due.
    pub(crate) async fn sample(self: &Arc<Self>) {
        let _turn = self.turn.lock().await;
        sleep_until(self.pace().next_allowed).await;
        self.read(true).await;
    }

    /// Calls `use_reader` on a thread for blocking work; `None` if the runtime shuts down.
    pub(crate) async fn with_reader<T: Send + 'static>(
        self: &Arc<Self>,
        use_reader: impl FnOnce(&Reader) -> T + Send + 'static,
    ) -> Option<T> {
        let feed = self.clone();
        spawn_blocking(move || use_reader(&lock(&feed.reader))).await.ok()
    }

    /// Makes and publishes a reading. Returns false if it failed.
    async fn read(self: &Arc<Self>, is_full: bool) -> bool {
        let (begun, begun_by_system) = (Instant::now(), SystemInstant::now());
        // If the reading fails, the next attempt is not made at once.
        lock(&self.pace).next_tick = begun + TICK;
        let feed = self.clone();
        // That thread sets the times as well, because the request that makes the reading can be dropped before the end.
        let reading = spawn_blocking(move || {
            // Measured by the clock of the system, since that of the runtime can be paused.
            let measured = SystemInstant::now();
            feed.publish(is_full);
            let pause = measured.elapsed() * PAUSE_FACTOR;
            let mut pace = lock(&feed.pace);
            pace.next_allowed = Instant::now() + pause;
            pace.next_tick = (begun + TICK).max(pace.next_allowed);
            if is_full {
                pace.last_full = Some((begun, begun_by_system));
            }
        });
        reading.await.is_ok()
    }

    fn publish(&self, is_full: bool) {
        let now = SystemTime::now();
        let before = self.published.borrow().reading.clone();
        let reading = {
            let mut reader = lock(&self.reader);
            if is_full { reader.read(now) } else { reader.check(now) }
        };
        let has_streams = self.published.receiver_count() > 0;
        let changes = if has_streams { changes::between(&before, &reading).map(Message::new) } else { None };
        let log = if has_streams { self.log_between(&before, &reading) } else { None };
        if self.compressed_streams.load(Ordering::Relaxed) > 0 {
            for message in [&changes, &log].into_iter().flatten() {
                message.bytes(true);
            }
        }
        self.published.send_replace(Arc::new(Published { reading, changes, log }));
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
