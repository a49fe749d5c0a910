//! The task behind a fleet: the only one that talks to Redis for its breakers, and no call ever waits for it.

mod answers;
mod changes;
mod circuit;
mod connection;
mod members;
mod queue;
mod shared;

use std::{
    collections::{HashSet, VecDeque},
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

pub(crate) use self::members::{Id, Members};
use self::{
    changes::Changes,
    connection::{Heartbeat, RECONNECT},
    queue::{Queue, Work},
};
use crate::{
    FleetBuilder, FleetError,
    answer::{Answer, Known},
    builder::{OnEvent, Quorum},
    fleet::Status,
    link::{Beat, Link},
    member::{Question, Step, Times},
};

/// The interval at which it looks at circuits that are not at rest.
const TICK: Duration = Duration::from_millis(50);
/// Circuits that it looks at each time; the others have their turn the next time.
const LOOKS: usize = 1_000;

pub(crate) struct Task {
    link: Arc<Link>,
    members: Members,
    times: Times,
    heartbeat: Heartbeat,
    quorum: Quorum,
    sum: Option<(u64, Duration)>,
    on_event: Option<OnEvent>,
    status: watch::Sender<Status>,
    /// Local circuits that have changed.
    touched: UnboundedReceiver<(&'static str, Option<Arc<str>>)>,
    /// Ends when it is dropped.
    subscription: Option<Subscription>,
    pushes: (UnboundedSender<PushInfo>, UnboundedReceiver<PushInfo>),
    work: JoinSet<Done>,
    mode: Mode,
    delays: Box<dyn Iterator<Item = Duration> + Send>,
    next_tick: Instant,
    /// Circuits that are not at rest, each once.
    restless: VecDeque<Id>,
    queue: Queue,
    /// The place of the list of breakers of keys that is to be read next.
    lists_from: Option<u64>,
    changes: Changes,
    instances: u64,
    /// Whether it was told that Redis can't be reached.
    is_told: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Not connected, and to be tried then.
    Away(Instant),
    Connecting,
    Online,
}

/// What has come of something that was begun.
enum Done {
    Connected(Result<Beat, FleetError>),
    Beat(Result<Beat, FleetError>),
    Answered(Id, Result<Answer, FleetError>),
    Reported(Id, u64, Result<Answer, FleetError>),
    /// Breakers of keys that are in trouble, from a place of the list on, and the next place; 0 at the end.
    Listed(u64, Result<(u64, Vec<String>), FleetError>),
    Registered,
}

impl Task {
    pub(crate) fn new(
        builder: &FleetBuilder,
        members: Members,
        link: Arc<Link>,
        status: watch::Sender<Status>,
    ) -> Self {
        let (touch, touched) = unbounded_channel();
        let names: HashSet<_> = members.names().collect();
        // On the thread of a call: a message to the task, no more.
        let subscription = events::subscribe(move |event| {
            if let Event::StateChanged { breaker, key, .. } = event
                && names.contains(breaker)
            {
                _ = touch.send((*breaker, key.clone()));
            }
        });
        let now = Instant::now();
        let FleetBuilder { heartbeat, lease, .. } = *builder;
        Self {
            link,
            members,
            times: Times { lease, grace: lease.max(2 * heartbeat), again: heartbeat },
            heartbeat: Heartbeat::new(heartbeat, now),
            quorum: builder.quorum,
            sum: builder.sum.map(|(threshold, span)| (threshold.into(), span)),
            on_event: builder.on_event.clone(),
            status,
            touched,
            subscription: Some(subscription),
            pushes: unbounded_channel(),
            work: JoinSet::new(),
            mode: Mode::Away(now),
            delays: Box::new(RECONNECT.delays()),
            next_tick: now,
            restless: VecDeque::new(),
            queue: Queue::default(),
            lists_from: None,
            changes: Changes::default(),
            instances: 1,
            is_told: false,
        }
    }

    /// Runs until it is to stop; then gives back what it holds in Redis.
    pub(crate) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        for id in self.members.ids(|_| true) {
            self.step(&id);
        }
        loop {
            let wake = self.wake();
            tokio::select! {
                // Heartbeats before all else, and messages before answers: those on the same connection came earlier.
                biased;
                _ = stop.wait_for(|stop| *stop) => break,
                () = sleep_until(wake) => self.tick(),
                Some(push) = self.pushes.1.recv() => self.take_push(&push),
                Some(done) = self.work.join_next() => match done {
                    Ok(done) => self.take(done),
                    // A bug, here or in the client: begun anew, so that nothing waits for what will not come.
                    Err(error) => self.lose(FleetError::Unavailable(error.to_string().into())),
                },
                Some((name, key)) = self.touched.recv() => self.touch(name, key.as_deref()),
            }
            self.publish();
        }
        self.leave().await;
    }

    fn is_online(&self) -> bool {
        self.mode == Mode::Online
    }

    /// When something is to be done although nothing happens.
    fn wake(&self) -> Instant {
        let next = match self.mode {
            Mode::Away(until) => until,
            Mode::Connecting => Instant::now() + self.heartbeat.interval,
            Mode::Online => self.heartbeat.next,
        };
        if self.restless.is_empty() { next } else { next.min(self.next_tick) }
    }

    fn tick(&mut self) {
        let now = Instant::now();
        match self.mode {
            Mode::Away(until) if until <= now => self.connect(),
            Mode::Online if self.heartbeat.next <= now => self.beat_in_time(),
            _ => {}
        }
        if self.next_tick > now {
            return;
        }
        self.next_tick = now + TICK;
        for _ in 0..self.restless.len().min(LOOKS) {
            let Some(id) = self.restless.pop_front() else { break };
            if let Some(shared) = self.members.get_mut(&id) {
                shared.is_in_round = false;
                self.tell_expiry(&id);
                self.step(&id);
            }
        }
    }

    /// A circuit has changed.
    fn touch(&mut self, name: &str, key: Option<&str>) {
        if let Some(id) = self.members.changed(name, key) {
            self.step(&id);
        }
    }

    /// Does what is to be done about a breaker, until that is nothing.
    fn step(&mut self, id: &Id) {
        let (online, now, times) = (self.is_online(), Instant::now(), self.times);
        let Some(shared) = self.members.get_mut(id) else { return };
        let mut asks = None;
        // Each act leads to another state; two of them are the most that follow one another.
        for _ in 0..4 {
            match shared.decide(online, now, &times) {
                Step::Rest => break,
                Step::Act(act) => shared.act(act),
                Step::Ask(question) => {
                    asks = Some(question);
                    break;
                }
            }
        }
        if shared.is_restless && !std::mem::replace(&mut shared.is_in_round, true) {
            self.restless.push_back(id.clone());
        }
        match asks {
            Some(_) if self.queue.is_full() => {
                let is_urgent = shared.member.is_urgent();
                self.queue.push(Work::Ask(id.clone()), is_urgent);
            }
            Some(question) => self.ask(id, question),
            None => {}
        }
    }

    fn ask(&mut self, id: &Id, question: Question) {
        let (quorum, times, now) = (self.needed(), self.times, Instant::now());
        let Some(shared) = self.members.get_mut(id) else { return };
        shared.member.ask(question);
        let request = shared.request(question, quorum, &times, now);
        let (link, keys, id) = (self.link.clone(), shared.keys.clone(), id.clone());
        self.queue.sent();
        self.work.spawn(async move { Done::Answered(id, link.ask(&keys, &request).await) });
    }

    /// Sends what has waited for a place.
    fn send_queued(&mut self) {
        while let Some(work) = self.queue.pop() {
            match work {
                Work::Ask(id) => self.step(&id),
                Work::Report(id) => self.report(&id),
            }
        }
    }

    fn take_push(&mut self, push: &PushInfo) {
        match push.kind {
            PushKind::Disconnection if self.is_online() => {
                self.lose(FleetError::Unavailable("the connection is lost".into()));
            }
            PushKind::Message => {
                let Some(Value::BulkString(message)) = push.data.last() else { return };
                let Ok(text) = std::str::from_utf8(message) else { return };
                let Some((known, id)) = Known::of_message(text) else { return };
                self.changes.heard();
                let is_open = !known.is_listed_for().is_zero();
                if let Some(id) = self.members.met(id, is_open) {
                    self.hear(&id, &known);
                }
            }
            _ => {}
        }
    }

    /// How many votes open the fleet.
    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::cast_sign_loss, reason = "few")]
    fn needed(&self) -> u64 {
        match self.quorum {
            Quorum::Instances(instances) => instances.into(),
            Quorum::Share(share) => ((self.instances as f64 * share).ceil() as u64).max(1),
        }
    }

    fn publish(&self) {
        let status =
            Status { is_available: self.is_online(), instances: if self.is_online() { self.instances } else { 0 } };
        self.status.send_if_modified(|old| std::mem::replace(old, status) != status);
    }
}
