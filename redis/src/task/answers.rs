//! What has come of what was begun.

use std::mem;

use steadfast::BreakerState;
use tokio::time::Instant;

use super::{Done, Task, members::Id, queue::Work};
use crate::{
    FleetError, FleetEvent,
    answer::{Answer, Granted, Known},
    contain::contain,
};

impl Task {
    pub(super) fn take(&mut self, done: Done) {
        // What came before it on the same connection is known before it.
        while let Ok(push) = self.pushes.1.try_recv() {
            self.take_push(&push);
        }
        if let Done::Answered(_, answer) | Done::Reported(_, _, answer) = &done {
            self.queue.answered(!answer.as_ref().is_err_and(FleetError::is_unavailable));
        }
        match done {
            Done::Connected(Ok(beat)) => self.arrive(beat),
            Done::Connected(Err(error)) => self.lose(error),
            Done::Beat(beat) => self.take_beat(beat),
            Done::Answered(id, Ok(answer)) => self.take_answer(&id, answer),
            Done::Answered(id, Err(error)) => self.take_failure(&id, error),
            Done::Reported(id, _, Ok(answer)) => {
                if let (Granted::Yes, Some((threshold, span)), Some(shared)) =
                    (answer.granted, self.sum, self.members.get_mut(&id))
                {
                    shared.open_by_sum(threshold, span);
                }
                self.hear(&id, &answer.known);
            }
            // They are said with the next heartbeat.
            Done::Reported(id, failures, Err(_)) => {
                if let Some(shared) = self.members.get_mut(&id) {
                    shared.reported = shared.reported.saturating_sub(failures);
                }
            }
            Done::Listed(cursor, Ok((next, ids))) => {
                for id in ids {
                    if let Some(id) = self.members.met(&id, true) {
                        self.read(&id);
                    }
                }
                if self.lists_from == Some(cursor) {
                    self.lists_from = (next != 0).then_some(next);
                    self.read_listed();
                }
            }
            // A list that was not given is asked for again with the next heartbeat.
            Done::Listed(_, Err(_)) | Done::Registered => {}
        }
        self.send_queued();
    }

    /// Takes in a state that nobody was asked for.
    pub(super) fn hear(&mut self, id: &Id, known: &Known) {
        let Some(shared) = self.members.get_mut(id) else { return };
        let is_in_doubt = mem::take(&mut shared.is_in_doubt);
        let is_news = shared.member.hear(known.clone(), Instant::now());
        if is_in_doubt && shared.circuit.key().is_some() {
            // The answer that was lost may have been the change itself: it is listed with the next heartbeat.
            self.changes.list(id.clone(), known.is_listed_for());
        }
        if is_news {
            self.tell_news(id, known);
        }
        self.step(id);
    }

    fn take_answer(&mut self, id: &Id, answer: Answer) {
        let Some(shared) = self.members.get_mut(id) else { return };
        let known = answer.known.clone();
        let is_in_doubt = mem::take(&mut shared.is_in_doubt);
        let (has_changed, is_keyed) = (answer.changed || is_in_doubt, shared.circuit.key().is_some());
        shared.is_refused = false;
        let is_news = shared.member.take(answer, Instant::now(), &self.times);
        if has_changed {
            // Says so once more, for those whom the message does not reach.
            self.changes.made();
            if is_keyed {
                self.changes.list(id.clone(), known.is_listed_for());
            }
            self.beat();
        }
        if is_news {
            self.tell_news(id, &known);
        }
        self.step(id);
    }

    fn take_failure(&mut self, id: &Id, error: FleetError) {
        let Some(shared) = self.members.get_mut(id) else { return };
        shared.member.fail(Instant::now(), &self.times);
        if error.is_unavailable() {
            shared.is_in_doubt = true;
            // The heartbeat will tell whether it was this one alone.
            self.heartbeat.next = self.heartbeat.next.min(Instant::now());
            return;
        }
        if !mem::replace(&mut shared.is_refused, true) {
            let event = FleetEvent::Refused { breaker: shared.circuit.name(), key: shared.key(), error };
            self.tell(&event);
        }
    }

    /// Looks at everything, whatever was heard of it.
    pub(super) fn read_all(&mut self) {
        for id in self.members.ids(|_| true) {
            self.read(&id);
        }
        self.lists_from = self.members.has_keyed().then_some(0);
        self.read_listed();
    }

    /// Goes on with the list of the breakers of keys that are in trouble, if there is more of it.
    pub(super) fn read_listed(&mut self) {
        if let Some(cursor) = self.lists_from {
            let link = self.link.clone();
            self.work.spawn(async move { Done::Listed(cursor, link.listed(cursor).await) });
        }
    }

    /// Says of the breakers of keys that are in trouble that they are, in case that Redis does not know.
    pub(super) fn list_all(&mut self) {
        let now = Instant::now();
        for id in self.members.ids(|shared| shared.circuit.key().is_some()) {
            let lasts = self.members.get(&id).map(|shared| shared.lost(now).is_listed_for());
            if let Some(lasts) = lasts.filter(|lasts| !lasts.is_zero()) {
                self.changes.list(id, lasts);
            }
        }
    }

    fn read(&mut self, id: &Id) {
        if let Some(shared) = self.members.get_mut(id) {
            shared.member.read();
            self.step(id);
        }
    }

    /// Says how many failures there were, if the fleet counts them.
    pub(super) fn report_failures(&mut self) {
        if self.sum.is_none() {
            return;
        }
        for id in self.members.ids(|shared| shared.circuit.snapshot().failures > shared.reported) {
            self.queue.push(Work::Report(id), false);
        }
        self.send_queued();
    }

    pub(super) fn report(&mut self, id: &Id) {
        let (Some(sum), Some(shared)) = (self.sum, self.members.get_mut(id)) else { return };
        let snapshot = shared.circuit.snapshot();
        let failures = snapshot.failures.saturating_sub(shared.reported);
        shared.reported += failures;
        if failures == 0 || snapshot.entered != BreakerState::Closed {
            return;
        }
        let (link, keys, id) = (self.link.clone(), shared.keys.clone(), id.clone());
        self.queue.sent();
        self.work.spawn(async move { Done::Reported(id, failures, link.report(&keys, failures, sum).await) });
    }

    fn tell_news(&self, id: &Id, known: &Known) {
        if let Some(event) = self.members.get(id).and_then(|shared| shared.news(known)) {
            self.tell(&event);
        }
    }

    pub(super) fn tell_expiry(&mut self, id: &Id) {
        if let Some(event) = self.members.get_mut(id).and_then(|shared| shared.expired(Instant::now())) {
            self.tell(&event);
        }
    }

    pub(super) fn tell(&self, event: &FleetEvent) {
        if let Some(callback) = &self.on_event {
            contain(|| callback(event));
        }
    }
}
