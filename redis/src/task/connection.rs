//! Finding Redis, losing it, and saying every so often that this instance lives.

use std::time::Duration;

use steadfast::{Jitter, RetryPolicy, Schedule};
use tokio::{sync::mpsc::unbounded_channel, task::JoinSet, time::Instant};

use super::{Done, Mode, Task};
use crate::{FleetError, FleetEvent, link::Beat, member::Question};

/// Heartbeats in a row without an answer, after which the connection is given up.
pub(super) const MOST_MISSED: u32 = 2;
/// Every so many heartbeats it looks at every breaker, whatever it has heard.
const FULL_ROUND: u32 = 300;
/// Waits between attempts to connect, as often as it takes.
pub(super) const RECONNECT: RetryPolicy = RetryPolicy::new()
    .max_attempts(u32::MAX)
    .backoff(Schedule::exponential(Duration::from_millis(50), 2.0, Duration::from_secs(1)))
    .jitter(Jitter::full());

/// When heartbeats are sent, and whether they are answered.
#[derive(Debug)]
pub(super) struct Heartbeat {
    pub(super) interval: Duration,
    pub(super) next: Instant,
    /// One is under way, and no other is sent meanwhile.
    is_under_way: bool,
    /// Another is to follow at once.
    is_wanted: bool,
    /// Redis's answers when the last was sent. If there are more since, it is busy, not away.
    answers: u64,
    missed: u32,
    round: u32,
}

impl Heartbeat {
    pub(super) const fn new(interval: Duration, next: Instant) -> Self {
        Self { interval, next, is_under_way: false, is_wanted: false, answers: 0, missed: 0, round: 0 }
    }

    /// Not in step with those of the others.
    fn schedule(&mut self) {
        self.next = Instant::now() + self.interval.mul_f64(0.9 + 0.1 * fastrand::f64());
    }
}

impl Task {
    pub(super) fn connect(&mut self) {
        self.mode = Mode::Connecting;
        // What is left of the last connection is over.
        self.pushes = unbounded_channel();
        let (link, pushes) = (self.link.clone(), self.pushes.0.clone());
        let names = self.members.registered();
        self.work.spawn(async move { Done::Connected(link.connect(pushes, &names).await) });
    }

    pub(super) fn arrive(&mut self, beat: Beat) {
        self.mode = Mode::Online;
        self.delays = Box::new(RECONNECT.delays());
        self.heartbeat = Heartbeat::new(self.heartbeat.interval, Instant::now());
        self.heartbeat.schedule();
        self.instances = beat.instances;
        self.changes.begin(beat.changes);
        self.is_told = false;
        self.tell(&FleetEvent::Available);
        // What was to be listed when the connection was lost.
        self.list_all();
        self.read_all();
    }

    pub(super) fn lose(&mut self, error: FleetError) {
        self.link.disconnect();
        // What is under way on that connection must not be taken for what is asked on the next.
        self.work = JoinSet::new();
        self.queue.clear();
        let delay = self.delays.next().unwrap_or(Duration::from_secs(1));
        self.mode = Mode::Away(Instant::now() + delay);
        for (_, shared) in self.members.iter_mut() {
            shared.member.lose();
        }
        if !std::mem::replace(&mut self.is_told, true) {
            self.tell(&FleetEvent::Unavailable { error });
        }
    }

    /// Sends the heartbeat of this interval.
    pub(super) fn beat_in_time(&mut self) {
        self.heartbeat.schedule();
        self.heartbeat.round += 1;
        self.members.let_go();
        self.report_failures();
        self.beat();
        // What was not answered.
        self.read_listed();
    }

    /// Sends a heartbeat, with what has changed; after the one that is under way, if there is one.
    pub(super) fn beat(&mut self) {
        if self.heartbeat.is_under_way {
            self.heartbeat.is_wanted = true;
            return;
        }
        let (link, (changes, listed)) = (self.link.clone(), self.changes.take_made());
        self.heartbeat.is_wanted = self.changes.has_more();
        (self.heartbeat.is_under_way, self.heartbeat.answers) = (true, link.answers());
        self.work.spawn(async move { Done::Beat(link.beat(changes, &listed).await) });
    }

    pub(super) fn take_beat(&mut self, beat: Result<Beat, FleetError>) {
        self.heartbeat.is_under_way = false;
        match beat {
            Ok(beat) => self.compare(beat),
            // What it was to say may have arrived all the same. Whoever needs it has missed the message, too, and looks every so often.
            Err(error) => {
                self.list_all();
                if error.is_unavailable() && self.link.answers() > self.heartbeat.answers {
                    self.heartbeat.missed = 0;
                } else {
                    self.heartbeat.missed += 1;
                }
                if self.heartbeat.missed >= MOST_MISSED {
                    self.lose(error);
                    return;
                }
            }
        }
        if self.heartbeat.is_wanted {
            self.beat();
        }
    }

    fn compare(&mut self, beat: Beat) {
        self.heartbeat.missed = 0;
        self.instances = beat.instances;
        let has_missed = self.changes.has_missed(beat.changes);
        let is_full = self.heartbeat.round >= FULL_ROUND;
        if is_full {
            self.changes.begin(beat.changes);
            self.list_all();
            let (link, names) = (self.link.clone(), self.members.registered());
            self.work.spawn(async move {
                // One who may not say so shares all the same.
                _ = link.register(&names).await;
                Done::Registered
            });
        }
        if has_missed || is_full {
            self.heartbeat.round = 0;
            self.read_all();
        }
    }

    /// Takes back its votes, its leases and its place among the living, as far as Redis answers at once.
    pub(super) async fn leave(mut self) {
        drop(self.subscription.take());
        self.work.shutdown().await;
        if !self.is_online() {
            self.link.disconnect();
            return;
        }
        self.queue.clear();
        for id in self.members.ids(|shared| shared.member.is_engaged()) {
            if self.queue.is_full() && !self.has_answered().await {
                break;
            }
            self.ask(&id, Question::Leave);
        }
        while self.has_answered().await {}
        self.work.shutdown().await;
        // If Redis does not hear of it, the place lapses.
        _ = self.link.depart().await;
        self.link.disconnect();
    }

    /// Waits for one of the answers; false if there is none, or Redis does not give it.
    async fn has_answered(&mut self) -> bool {
        self.queue.answered(true);
        match self.work.join_next().await {
            Some(Ok(Done::Answered(_, Err(error)))) => !error.is_unavailable(),
            Some(answered) => answered.is_ok(),
            None => false,
        }
    }
}
