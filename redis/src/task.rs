//! The task behind a fleet: the only one that talks to Redis for its breakers, and no call ever waits for it.

mod answers;
mod changes;
mod circuit;
mod connection;
mod members;
mod shared;

use std::{collections::HashSet, sync::Arc, time::Duration};

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
use self::{changes::Changes, connection::RECONNECT};
use crate::{
    FleetBuilder, FleetError,
    answer::{Answer, Known},
    builder::{OnEvent, Quorum},
    fleet::Status,
    link::{Beat, Link},
    member::{Question, Step, Times},
};

/// How often it looks at circuits that are not at rest.
const TICK: Duration = Duration::from_millis(50);

pub(crate) struct Task {
    link: Arc<Link>,
    members: Members,
    times: Times,
    heartbeat: Duration,
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
    next_beat: Instant,
    next_tick: Instant,
    missed: u32,
    round: u32,
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
    /// Breakers of keys that are in trouble.
    Listed(Result<Vec<String>, FleetError>),
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
            heartbeat,
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
            next_beat: now,
            next_tick: now,
            missed: 0,
            round: 0,
            changes: Changes::default(),
            instances: 1,
            is_told: false,
        }
    }

    /// Runs until it is to stop; then gives back what it holds in Redis.
    pub(crate) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        loop {
            let wake = self.wake();
            tokio::select! {
                // Messages before answers: those on the same connection came earlier.
                biased;
                _ = stop.wait_for(|stop| *stop) => break,
                Some(push) = self.pushes.1.recv() => self.take_push(&push),
                Some((name, key)) = self.touched.recv() => self.touch(name, key.as_deref()),
                Some(done) = self.work.join_next() => match done {
                    Ok(done) => self.take(done),
                    // A bug, here or in the client: begun anew, so that nothing waits for what will not come.
                    Err(error) => self.lose(FleetError::Unavailable(error.to_string().into())),
                },
                () = sleep_until(wake) => self.tick(),
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
            Mode::Connecting => Instant::now() + self.heartbeat,
            Mode::Online => self.next_beat,
        };
        let is_restless = self.members.any(|shared| shared.is_restless);
        if is_restless { next.min(self.next_tick) } else { next }
    }

    fn tick(&mut self) {
        let now = Instant::now();
        match self.mode {
            Mode::Away(until) if until <= now => self.connect(),
            Mode::Online if self.next_beat <= now => self.beat(now),
            _ => {}
        }
        if self.next_tick > now {
            return;
        }
        self.next_tick = now + TICK;
        for id in self.members.ids(|shared| shared.is_restless) {
            self.tell_expiry(&id);
            self.step(&id);
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
        // Each act leads to another state; two of them are the most that follow one another.
        for _ in 0..4 {
            let snapshot = shared.circuit.snapshot();
            match shared.decide(&snapshot, online, now, &times) {
                Step::Rest => return,
                Step::Act(act) => shared.act(act),
                Step::Ask(question) => {
                    self.ask(id, question);
                    return;
                }
            }
        }
    }

    fn ask(&mut self, id: &Id, question: Question) {
        let (quorum, times, now) = (self.needed(), self.times, Instant::now());
        let Some(shared) = self.members.get(id) else { return };
        let request = shared.request(question, quorum, &times, now);
        let (link, keys, id) = (self.link.clone(), shared.keys.clone(), id.clone());
        self.work.spawn(async move { Done::Answered(id, link.ask(&keys, &request).await) });
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

    /// Takes back its votes, its leases and its place among the living, as far as Redis answers at once.
    async fn leave(mut self) {
        drop(self.subscription.take());
        self.work.shutdown().await;
        if !self.is_online() {
            self.link.disconnect();
            return;
        }
        for id in self.members.ids(|shared| shared.member.is_engaged()) {
            self.ask(&id, Question::Leave);
        }
        while self.work.join_next().await.is_some() {}
        // If Redis does not hear of it, the place lapses.
        _ = self.link.depart().await;
        self.link.disconnect();
    }
}
