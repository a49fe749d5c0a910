//! The background task of a fleet. It synchronizes the local circuits with Redis, and no call through a breaker waits for it.

mod changes;
mod circuit;
mod completions;
mod lifecycle;
mod members;
mod queue;
mod shared_breaker;

use std::{
    collections::{HashSet, VecDeque},
    mem,
    sync::Arc,
    time::Duration,
};

use redis::{PushInfo, PushKind, Value};
use steadfast::events::{self, Event, Subscription};
use tokio::{
    sync::{
        mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
        watch,
    },
    task::JoinSet,
    time::{Instant, sleep_until},
};

pub(crate) use self::members::{BreakerId, Members};
use self::{
    changes::Changes,
    completions::Completion,
    lifecycle::{Heartbeats, RECONNECT},
    queue::{Queue, QueueItem},
};
use crate::{
    FleetError, FleetEvent,
    config::{FleetConfig, Quorum},
    connection::Connection,
    member::{Decision, Intent, Timing},
    panics::catch_panic,
    protocol::FleetState,
};

pub(crate) type OnEvent = Arc<dyn Fn(&FleetEvent) + Send + Sync>;

/// The interval between decisions about breakers whose next decision depends on time.
const TICK: Duration = Duration::from_millis(50);
/// The maximum number of breakers in one tick. The others follow in the next tick.
const MAX_PER_TICK: usize = 1_000;

/// The state of the background task.
pub(crate) struct Worker {
    connection: Arc<Connection>,
    members: Members,
    timing: Timing,
    heartbeats: Heartbeats,
    quorum: Quorum,
    /// The sum of failures that opens the fleet, and its time span.
    failure_sum: Option<(u64, Duration)>,
    on_event: Option<OnEvent>,
    status: watch::Sender<Status>,
    /// Local circuits that changed state: name and key.
    local_changes: UnboundedReceiver<(&'static str, Option<Arc<str>>)>,
    /// Feeds `local_changes` until it is dropped.
    subscription: Option<Subscription>,
    /// The channel for broadcasts and other messages that Redis sends without a request.
    pushes: (UnboundedSender<PushInfo>, UnboundedReceiver<PushInfo>),
    /// Requests in flight.
    requests: JoinSet<Completion>,
    state: ConnectionState,
    reconnect_delays: Box<dyn Iterator<Item = Duration> + Send>,
    next_tick: Instant,
    /// Breakers whose next decision depends on time, each once.
    tick_queue: VecDeque<BreakerId>,
    queue: Queue,
    /// The cursor of the next page of the index of open keyed breakers; `None` if it is fully read.
    index_cursor: Option<u64>,
    changes: Changes,
    /// The number of live instances.
    instances: u64,
    /// True if the event for the current outage was emitted.
    is_outage_reported: bool,
}

/// The part of the worker's state that the handle of the fleet can read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Status {
    pub(crate) is_available: bool,
    pub(crate) instances: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ConnectionState {
    /// Not connected, with the time of the next connection attempt.
    Disconnected(Instant),
    Connecting,
    Online,
}

impl Worker {
    pub(crate) fn new(
        config: &FleetConfig,
        on_event: Option<OnEvent>,
        members: Members,
        connection: Arc<Connection>,
        status: watch::Sender<Status>,
    ) -> Self {
        let (change_sender, local_changes) = unbounded_channel();
        let names: HashSet<_> = members.names().collect();
        // The callback runs on the thread of a call, so it only sends a message.
        let subscription = events::subscribe(move |event| {
            if let Event::StateChanged { breaker, key, .. } = event
                && names.contains(breaker)
            {
                _ = change_sender.send((*breaker, key.clone()));
            }
        });
        let now = Instant::now();
        let FleetConfig { heartbeat, lease, .. } = *config;
        Self {
            connection,
            members,
            timing: Timing { lease, grace: lease.max(2 * heartbeat), retry_delay: heartbeat },
            heartbeats: Heartbeats::new(heartbeat, now),
            quorum: config.quorum,
            failure_sum: config.failure_sum.map(|(threshold, span)| (threshold.into(), span)),
            on_event,
            status,
            local_changes,
            subscription: Some(subscription),
            pushes: unbounded_channel(),
            requests: JoinSet::new(),
            state: ConnectionState::Disconnected(now),
            reconnect_delays: Box::new(RECONNECT.delays()),
            next_tick: now,
            tick_queue: VecDeque::new(),
            queue: Queue::default(),
            index_cursor: None,
            changes: Changes::default(),
            instances: 1,
            is_outage_reported: false,
        }
    }

    /// Runs until `stop` is true, then withdraws this instance's votes and leases.
    pub(crate) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        for id in self.members.ids(|_| true) {
            self.advance(&id);
        }
        loop {
            let wake_at = self.wake_at();
            tokio::select! {
                // Timers come before messages, so that heartbeats are on time. Broadcasts come before replies, since those on the same
                // connection arrived earlier.
                biased;
                _ = stop.wait_for(|stop| *stop) => break,
                () = sleep_until(wake_at) => self.on_timer(),
                Some(push) = self.pushes.1.recv() => self.on_push(&push),
                Some(completion) = self.requests.join_next() => match completion {
                    Ok(completion) => self.on_completion(completion),
                    // A request panicked, here or in the client. Reconnecting discards all state that depends on the lost reply.
                    Err(error) => self.on_disconnect(FleetError::Unavailable(error.to_string().into())),
                },
                Some((name, key)) = self.local_changes.recv() => self.on_local_change(name, key.as_deref()),
            }
            self.publish_status();
        }
        self.shut_down().await;
    }

    fn is_online(&self) -> bool {
        self.state == ConnectionState::Online
    }

    /// Returns the time of the next connection attempt, heartbeat or tick.
    fn wake_at(&self) -> Instant {
        let next = match self.state {
            ConnectionState::Disconnected(retry_at) => retry_at,
            ConnectionState::Connecting => Instant::now() + self.heartbeats.interval,
            ConnectionState::Online => self.heartbeats.next,
        };
        if self.tick_queue.is_empty() { next } else { next.min(self.next_tick) }
    }

    fn on_timer(&mut self) {
        let now = Instant::now();
        match self.state {
            ConnectionState::Disconnected(retry_at) if retry_at <= now => self.connect(),
            ConnectionState::Online if self.heartbeats.next <= now => self.periodic_heartbeat(),
            _ => {}
        }
        if self.next_tick > now {
            return;
        }
        self.next_tick = now + TICK;
        for _ in 0..self.tick_queue.len().min(MAX_PER_TICK) {
            let Some(id) = self.tick_queue.pop_front() else { break };
            if let Some(shared) = self.members.get_mut(&id) {
                shared.is_in_tick_queue = false;
                self.emit_expiry(&id);
                self.advance(&id);
            }
        }
    }

    fn on_local_change(&mut self, name: &str, key: Option<&str>) {
        if let Some(id) = self.members.id_of_local(name, key) {
            self.advance(&id);
        }
    }

    fn on_push(&mut self, push: &PushInfo) {
        match push.kind {
            PushKind::Disconnection if self.is_online() => {
                self.on_disconnect(FleetError::Unavailable("the connection was closed".into()));
            }
            PushKind::Message => {
                let Some(Value::BulkString(message)) = push.data.last() else { return };
                let Ok(text) = std::str::from_utf8(message) else { return };
                let Some((state, id)) = FleetState::parse_broadcast(text) else { return };
                self.changes.on_broadcast();
                let is_open = !state.index_ttl().is_zero();
                if let Some(id) = self.members.resolve(id, is_open) {
                    self.on_unrequested_state(&id, &state);
                }
            }
            _ => {}
        }
    }

    /// Applies decisions about a breaker until there is nothing to do or a request to send. The request is sent or queued.
    fn advance(&mut self, id: &BreakerId) {
        let (online, now, timing) = (self.is_online(), Instant::now(), self.timing);
        let Some(shared) = self.members.get_mut(id) else { return };
        let mut intent = None;
        // Each action leads to another state, and at most two actions follow one another.
        for _ in 0..4 {
            match shared.decide(online, now, &timing) {
                Decision::Idle => break,
                Decision::Act(action) => shared.apply(action),
                Decision::Send(next) => {
                    intent = Some(next);
                    break;
                }
            }
        }
        if shared.needs_tick && !mem::replace(&mut shared.is_in_tick_queue, true) {
            self.tick_queue.push_back(id.clone());
        }
        match intent {
            Some(_) if self.queue.is_full() => {
                let is_urgent = shared.member.holds_lease();
                self.queue.push(QueueItem::Request(id.clone()), is_urgent);
            }
            Some(intent) => self.send(id, intent),
            None => {}
        }
    }

    fn send(&mut self, id: &BreakerId, intent: Intent) {
        let (quorum, timing, now) = (self.quorum.votes(self.instances), self.timing, Instant::now());
        let Some(shared) = self.members.get_mut(id) else { return };
        shared.member.on_request_sent(intent);
        let request = shared.request(intent, quorum, &timing, now);
        let (connection, keys, id) = (self.connection.clone(), shared.keys.clone(), id.clone());
        self.queue.on_sent();
        self.requests.spawn(async move { Completion::Replied(id, connection.send(&keys, &request).await) });
    }

    /// Sends queued requests up to the limit.
    fn send_queued(&mut self) {
        while let Some(item) = self.queue.pop() {
            match item {
                QueueItem::Request(id) => self.advance(&id),
                QueueItem::FailureReport(id) => self.report_failures_of(&id),
            }
        }
    }

    fn emit(&self, event: &FleetEvent) {
        if let Some(callback) = &self.on_event {
            catch_panic(|| callback(event));
        }
    }

    fn publish_status(&self) {
        let is_available = self.is_online();
        let status = Status { is_available, instances: if is_available { self.instances } else { 0 } };
        self.status.send_if_modified(|old| mem::replace(old, status) != status);
    }
}
