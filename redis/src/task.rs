//! The task behind a fleet: the only one that talks to Redis for its breakers, and no call ever waits for it.

mod changes;
mod connection;
mod shared;

use std::{collections::HashMap, sync::Arc, time::Duration};

use redis::{PushInfo, PushKind, Value};
use steadfast::{
    BreakerState,
    events::{self, Event, Subscription},
};
use tokio::{
    sync::{
        mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
        watch,
    },
    task::JoinSet,
    time::{Instant, sleep_until},
};

pub(crate) use self::shared::Shared;
use self::{
    changes::Changes,
    connection::{MOST_MISSED, RECONNECT},
};
use crate::{
    FleetBuilder, FleetError, FleetEvent,
    answer::{Answer, Known},
    builder::{OnEvent, Quorum},
    fleet::Status,
    link::{Beat, Link, Trip},
    member::{Question, Step, Times},
};

/// How often it looks at circuits that are not at rest.
const TICK: Duration = Duration::from_millis(50);
pub(crate) struct Task {
    link: Arc<Link>,
    breakers: Vec<Shared>,
    by_name: HashMap<&'static str, usize>,
    times: Times,
    heartbeat: Duration,
    quorum: Quorum,
    sum: Option<(u64, Duration)>,
    on_event: Option<OnEvent>,
    status: watch::Sender<Status>,
    /// Local circuits that have changed.
    touched: UnboundedReceiver<usize>,
    /// Ends when it is dropped.
    subscription: Option<Subscription>,
    pushes: (UnboundedSender<PushInfo>, UnboundedReceiver<PushInfo>),
    work: JoinSet<Done>,
    mode: Mode,
    delays: Box<dyn Iterator<Item = Duration> + Send>,
    next_beat: Instant,
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
    Answered(usize, Result<Answer, FleetError>),
    Reported(usize, u64, Result<Answer, FleetError>),
}

impl Task {
    pub(crate) fn new(
        builder: &FleetBuilder,
        breakers: Vec<Shared>,
        link: Arc<Link>,
        status: watch::Sender<Status>,
    ) -> Self {
        let by_name: HashMap<_, _> =
            breakers.iter().enumerate().map(|(i, shared)| (shared.breaker.name(), i)).collect();
        let (touch, touched) = unbounded_channel();
        // On the thread of a call: a message to the task, no more.
        let subscription = events::subscribe({
            let by_name = by_name.clone();
            move |event| {
                if let Event::StateChanged { breaker, key: None, .. } = event
                    && let Some(index) = by_name.get(breaker)
                {
                    _ = touch.send(*index);
                }
            }
        });
        let now = Instant::now();
        let FleetBuilder { heartbeat, lease, .. } = *builder;
        Self {
            link,
            breakers,
            by_name,
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
                Some(index) = self.touched.recv() => self.step(index),
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
        let is_restless = self.breakers.iter().any(|shared| shared.is_restless);
        if is_restless { next.min(Instant::now() + TICK) } else { next }
    }

    fn tick(&mut self) {
        let now = Instant::now();
        match self.mode {
            Mode::Away(until) if until <= now => self.connect(),
            Mode::Online if self.next_beat <= now => self.beat(now),
            _ => {}
        }
        for index in 0..self.breakers.len() {
            if self.breakers[index].is_restless {
                self.step(index);
            }
        }
    }

    /// Does what is to be done about a breaker, until that is nothing.
    fn step(&mut self, index: usize) {
        let (online, now, times) = (self.is_online(), Instant::now(), self.times);
        let quorum = self.needed();
        let Some(shared) = self.breakers.get_mut(index) else { return };
        // Each act leads to another state; two of them are the most that follow one another.
        for _ in 0..4 {
            let snapshot = shared.breaker.snapshot();
            match shared.decide(&snapshot, online, now, &times) {
                Step::Rest => return,
                Step::Act(act) => shared.act(act),
                Step::Ask(question) => {
                    let rest = snapshot.open_for.unwrap_or_default();
                    let trip = Trip {
                        rest,
                        failed: snapshot.failed_recoveries,
                        quorum: if std::mem::take(&mut shared.speaks_for_all) { 1 } else { quorum },
                        lasts: rest + times.grace,
                        reason: shared::why(&snapshot),
                    };
                    self.ask(index, question, Some(trip));
                    return;
                }
            }
        }
    }

    fn ask(&mut self, index: usize, question: Question, trip: Option<Trip>) {
        let Some(shared) = self.breakers.get(index) else { return };
        let (link, keys, name, lease) =
            (self.link.clone(), shared.keys.clone(), shared.breaker.name(), self.times.lease);
        if question == Question::Restore {
            let lost = shared.lost(Instant::now());
            self.work.spawn(async move { Done::Answered(index, link.restore(&keys, name, &lost).await) });
            return;
        }
        self.work
            .spawn(async move { Done::Answered(index, link.ask(&keys, name, question, trip.as_ref(), lease).await) });
    }

    fn take_push(&mut self, push: &PushInfo) {
        match push.kind {
            PushKind::Disconnection if self.is_online() => {
                self.lose(FleetError::Unavailable("the connection is lost".into()));
            }
            PushKind::Message => {
                let Some(Value::BulkString(message)) = push.data.last() else { return };
                let Ok(text) = std::str::from_utf8(message) else { return };
                let Some((known, name)) = Known::of_message(text) else { return };
                self.changes.heard();
                let Some(&index) = self.by_name.get(name) else { return };
                if self.breakers[index].member.hear(known.clone(), Instant::now()) {
                    self.tell_news(index, &known);
                }
                self.step(index);
            }
            _ => {}
        }
    }

    fn take(&mut self, done: Done) {
        // What came before it on the same connection is known before it.
        while let Ok(push) = self.pushes.1.try_recv() {
            self.take_push(&push);
        }
        match done {
            Done::Connected(Ok(beat)) => self.arrive(beat),
            Done::Connected(Err(error)) => self.lose(error),
            Done::Beat(Ok(beat)) => self.take_beat(beat),
            Done::Beat(Err(error)) => {
                self.missed += 1;
                if self.missed >= MOST_MISSED {
                    self.lose(error);
                }
            }
            Done::Answered(index, Ok(answer)) => self.take_answer(index, answer),
            Done::Answered(index, Err(error)) => self.take_failure(index, error),
            Done::Reported(index, _, Ok(answer)) => {
                if let (true, Some((threshold, span))) = (answer.granted, self.sum) {
                    self.breakers[index].open_by_sum(threshold, span);
                }
                if self.breakers[index].member.hear(answer.known.clone(), Instant::now()) {
                    self.tell_news(index, &answer.known);
                }
                self.step(index);
            }
            // They are said with the next heartbeat.
            Done::Reported(index, failures, Err(_)) => self.breakers[index].reported -= failures,
        }
    }

    fn take_answer(&mut self, index: usize, answer: Answer) {
        if answer.changed {
            // Says so once more, for those whom the message does not reach.
            self.changes.made();
            self.beat(Instant::now());
        }
        let known = answer.known.clone();
        let shared = &mut self.breakers[index];
        shared.is_refused = false;
        if shared.member.take(answer, Instant::now(), &self.times) {
            self.tell_news(index, &known);
        }
        self.step(index);
    }

    fn take_failure(&mut self, index: usize, error: FleetError) {
        let shared = &mut self.breakers[index];
        shared.member.fail(Instant::now(), &self.times);
        if error.is_unavailable() {
            // The heartbeat will tell whether it was this one alone.
            self.next_beat = self.next_beat.min(Instant::now());
            return;
        }
        let breaker = shared.breaker.name();
        if !std::mem::replace(&mut shared.is_refused, true) {
            self.tell(&FleetEvent::Refused { breaker, error });
        }
    }

    fn read_all(&mut self) {
        for index in 0..self.breakers.len() {
            self.breakers[index].member.read();
            self.step(index);
        }
    }

    /// Says how many failures there were, if the fleet counts them.
    fn report_failures(&mut self) {
        let Some(sum) = self.sum else { return };
        for (index, shared) in self.breakers.iter_mut().enumerate() {
            let snapshot = shared.breaker.snapshot();
            let failures = snapshot.failures.saturating_sub(shared.reported);
            shared.reported += failures;
            if failures == 0 || snapshot.state != BreakerState::Closed {
                continue;
            }
            let (link, keys, name) = (self.link.clone(), shared.keys.clone(), shared.breaker.name());
            self.work
                .spawn(async move { Done::Reported(index, failures, link.report(&keys, name, failures, sum).await) });
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

    fn tell_news(&self, index: usize, known: &Known) {
        if let Some(event) = shared::news(self.breakers[index].breaker.name(), known) {
            self.tell(&event);
        }
    }

    fn tell(&self, event: &FleetEvent) {
        if let Some(callback) = &self.on_event {
            // What a callback leaves behind when it panics is its own business.
            _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| callback(event)));
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
            return;
        }
        for index in 0..self.breakers.len() {
            if self.breakers[index].member.is_engaged() {
                self.ask(index, Question::Leave, None);
            }
        }
        while self.work.join_next().await.is_some() {}
        // If Redis does not hear of it, the place lapses.
        _ = self.link.depart().await;
        self.link.disconnect();
    }
}
