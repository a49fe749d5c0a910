//! The lifecycle of the connection: connecting, heartbeats, disconnecting, shutting down.

use std::{mem, time::Duration};

use steadfast::{Jitter, RetryPolicy, Schedule};
use tokio::{sync::mpsc::unbounded_channel, task::JoinSet, time::Instant};

use super::{ConnectionState, Worker, completions::Completion};
use crate::{FleetError, FleetEvent, connection::HeartbeatReply, member::Intent};

/// The number of consecutive failed heartbeats after which the connection is dropped.
const MAX_FAILED_HEARTBEATS: u32 = 2;
/// The number of heartbeats after which all breakers are read, even if no broadcast was missed.
const FULL_READ_INTERVAL: u32 = 300;
/// The longest delay between two connection attempts.
const MAX_RECONNECT_DELAY: Duration = Duration::from_secs(1);
/// The policy for the delays between connection attempts, whose number is practically unlimited.
pub(super) const RECONNECT: RetryPolicy = RetryPolicy::new()
    .max_attempts(u32::MAX)
    .backoff(Schedule::exponential(Duration::from_millis(50), 2.0, MAX_RECONNECT_DELAY))
    .jitter(Jitter::full());

/// The schedule of heartbeats, and the outcomes of recent ones.
#[derive(Debug)]
pub(super) struct Heartbeats {
    pub(super) interval: Duration,
    pub(super) next: Instant,
    /// True if a heartbeat is in flight. No other is sent until it completes.
    is_in_flight: bool,
    /// True if another heartbeat is to be sent as soon as the one in flight completes.
    is_requested: bool,
    /// The number of replies of Redis when the last heartbeat was sent. More replies since then mean that Redis is slow, not down.
    replies: u64,
    /// The number of consecutive failed heartbeats.
    failed: u32,
    /// The number of heartbeats since the last read of all breakers.
    since_full_read: u32,
}

impl Heartbeats {
    pub(super) const fn new(interval: Duration, next: Instant) -> Self {
        Self { interval, next, is_in_flight: false, is_requested: false, replies: 0, failed: 0, since_full_read: 0 }
    }

    /// Schedules the next heartbeat, with jitter, so that instances do not send theirs simultaneously.
    fn schedule(&mut self) {
        self.next = Instant::now() + self.interval.mul_f64(0.9 + 0.1 * fastrand::f64());
    }
}

impl Worker {
    pub(super) fn connect(&mut self) {
        self.state = ConnectionState::Connecting;
        // A new channel discards the broadcasts of the previous connection.
        self.pushes = unbounded_channel();
        let (connection, pushes) = (self.connection.clone(), self.pushes.0.clone());
        let registrations = self.members.registrations();
        self.requests.spawn(async move { Completion::Connected(connection.connect(pushes, &registrations).await) });
    }

    pub(super) fn on_connected(&mut self, reply: HeartbeatReply) {
        self.state = ConnectionState::Online;
        self.reconnect_delays = Box::new(RECONNECT.delays());
        self.heartbeats = Heartbeats::new(self.heartbeats.interval, Instant::now());
        self.heartbeats.schedule();
        self.instances = reply.instances;
        self.changes.restart(reply.changes);
        self.is_outage_reported = false;
        self.emit(&FleetEvent::Available);
        // Repeats index updates that were pending when the connection was lost.
        self.index_all();
        self.read_all();
    }

    pub(super) fn on_disconnect(&mut self, error: FleetError) {
        self.connection.disconnect();
        // Aborts all requests, so that no reply of this connection is mistaken for a reply of the next one.
        self.requests = JoinSet::new();
        self.queue.clear();
        let delay = self.reconnect_delays.next().unwrap_or(MAX_RECONNECT_DELAY);
        self.state = ConnectionState::Disconnected(Instant::now() + delay);
        for shared in self.members.iter_mut() {
            shared.member.on_disconnect();
        }
        if !mem::replace(&mut self.is_outage_reported, true) {
            self.emit(&FleetEvent::Unavailable { error });
        }
    }

    /// Sends the periodic heartbeat, and does all other work that is due once per interval.
    pub(super) fn periodic_heartbeat(&mut self) {
        self.heartbeats.schedule();
        self.heartbeats.since_full_read += 1;
        self.members.retire_idle();
        self.report_failures();
        self.send_heartbeat();
        // Repeats the request for a page whose reply was lost.
        self.read_index_page();
    }

    /// Sends a heartbeat with the pending changes, or requests one after the heartbeat in flight.
    pub(super) fn send_heartbeat(&mut self) {
        if self.heartbeats.is_in_flight {
            self.heartbeats.is_requested = true;
            return;
        }
        let (connection, (changes, index_updates)) = (self.connection.clone(), self.changes.take_pending());
        self.heartbeats.is_requested = self.changes.has_index_updates();
        (self.heartbeats.is_in_flight, self.heartbeats.replies) = (true, connection.replies());
        self.requests.spawn(async move { Completion::Heartbeat(connection.heartbeat(changes, &index_updates).await) });
    }

    pub(super) fn on_heartbeat(&mut self, reply: Result<HeartbeatReply, FleetError>) {
        self.heartbeats.is_in_flight = false;
        match reply {
            Ok(reply) => self.on_heartbeat_reply(reply),
            // Redis may have applied the heartbeat nevertheless. If not, instances that also missed the broadcast find the change in their
            // next full read.
            Err(error) => {
                self.index_all();
                if error.is_unavailable() && self.connection.replies() > self.heartbeats.replies {
                    self.heartbeats.failed = 0;
                } else {
                    self.heartbeats.failed += 1;
                }
                if self.heartbeats.failed >= MAX_FAILED_HEARTBEATS {
                    self.on_disconnect(error);
                    return;
                }
            }
        }
        if self.heartbeats.is_requested {
            self.send_heartbeat();
        }
    }

    /// Reads all breakers if a broadcast was missed, or if a full read is due.
    fn on_heartbeat_reply(&mut self, reply: HeartbeatReply) {
        self.heartbeats.failed = 0;
        self.instances = reply.instances;
        let has_missed = self.changes.detect_missed(reply.changes);
        let is_full_read_due = self.heartbeats.since_full_read >= FULL_READ_INTERVAL;
        if is_full_read_due {
            self.changes.restart(reply.changes);
            self.index_all();
            let (connection, registrations) = (self.connection.clone(), self.members.registrations());
            self.requests.spawn(async move {
                // An instance whose ACL user is not allowed to register can still share breakers.
                _ = connection.register(&registrations).await;
                Completion::Registered
            });
        }
        if has_missed || is_full_read_due {
            self.heartbeats.since_full_read = 0;
            self.read_all();
        }
    }

    /// Withdraws this instance's votes and leases and removes it from the live instances, as long as Redis replies.
    pub(super) async fn shut_down(mut self) {
        drop(self.subscription.take());
        self.requests.shutdown().await;
        if !self.is_online() {
            self.connection.disconnect();
            return;
        }
        self.queue.clear();
        for id in self.members.ids(|shared| shared.member.holds_vote_or_lease()) {
            if self.queue.is_full() && !self.wait_for_reply().await {
                break;
            }
            self.send(&id, Intent::Withdraw);
        }
        while self.wait_for_reply().await {}
        self.requests.shutdown().await;
        // If this fails, the instance stops counting as live after a few heartbeat intervals.
        _ = self.connection.deregister_instance().await;
        self.connection.disconnect();
    }

    /// Waits for the reply to one request in flight. Returns false if no request is in flight or Redis does not reply.
    async fn wait_for_reply(&mut self) -> bool {
        self.queue.on_completed(true);
        match self.requests.join_next().await {
            Some(Ok(Completion::Replied(_, Err(error)))) => !error.is_unavailable(),
            Some(completion) => completion.is_ok(),
            None => false,
        }
    }
}
