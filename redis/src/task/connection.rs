//! Finding Redis, losing it, and saying every so often that this instance lives.

use std::time::Duration;

use steadfast::{Jitter, RetryPolicy, Schedule};
use tokio::{sync::mpsc::unbounded_channel, task::JoinSet, time::Instant};

use super::{Done, Mode, Task};
use crate::{FleetError, FleetEvent, link::Beat};

/// Heartbeats in a row without an answer, after which the connection is given up.
pub(super) const MOST_MISSED: u32 = 2;
/// Every so many heartbeats it looks at every breaker, whatever it has heard.
const FULL_ROUND: u32 = 300;
/// Waits between attempts to connect, as often as it takes.
pub(super) const RECONNECT: RetryPolicy = RetryPolicy::new()
    .max_attempts(u32::MAX)
    .backoff(Schedule::exponential(Duration::from_millis(50), 2.0, Duration::from_secs(1)))
    .jitter(Jitter::full());

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
        self.missed = 0;
        self.instances = beat.instances;
        self.changes.begin(beat.changes);
        self.is_told = false;
        self.schedule_beat();
        self.tell(&FleetEvent::Available);
        // What was to be listed when the connection was lost.
        self.list_all();
        self.read_all();
    }

    pub(super) fn lose(&mut self, error: FleetError) {
        self.link.disconnect();
        // What is under way on that connection must not be taken for what is asked on the next.
        self.work = JoinSet::new();
        let delay = self.delays.next().unwrap_or(Duration::from_secs(1));
        self.mode = Mode::Away(Instant::now() + delay);
        for (_, shared) in self.members.iter_mut() {
            shared.member.lose();
        }
        if !std::mem::replace(&mut self.is_told, true) {
            self.tell(&FleetEvent::Unavailable { error });
        }
    }

    pub(super) fn beat(&mut self, now: Instant) {
        if now >= self.next_beat {
            self.schedule_beat();
            self.round += 1;
            self.members.let_go();
            self.report_failures();
        }
        let (link, (changes, listed)) = (self.link.clone(), self.changes.take_made());
        self.work.spawn(async move { Done::Beat(link.beat(changes, &listed).await) });
    }

    /// Not in step with the others.
    pub(super) fn schedule_beat(&mut self) {
        self.next_beat = Instant::now() + self.heartbeat.mul_f64(0.9 + 0.1 * fastrand::f64());
    }

    pub(super) fn take_beat(&mut self, beat: Beat) {
        self.missed = 0;
        self.instances = beat.instances;
        let has_missed = self.changes.has_missed(beat.changes);
        let is_full = self.round >= FULL_ROUND;
        if is_full {
            self.changes.begin(beat.changes);
            self.list_all();
            let (link, names) = (self.link.clone(), self.members.registered());
            self.work.spawn(async move { Done::Listed(link.register(&names).await.map(|()| Vec::new())) });
        }
        if has_missed || is_full {
            self.round = 0;
            self.read_all();
        }
    }
}
