//! Handling of replies and failures of requests.

use std::mem;

use steadfast::BreakerState;
use tokio::time::Instant;

use super::{Worker, members::BreakerId, queue::QueueItem};
use crate::{
    FleetError, FleetEvent,
    connection::HeartbeatReply,
    protocol::{FleetState, Grant, Reply},
};

/// The outcome of a request.
pub(super) enum Completion {
    Connected(Result<HeartbeatReply, FleetError>),
    Heartbeat(Result<HeartbeatReply, FleetError>),
    Replied(BreakerId, Result<Reply, FleetError>),
    /// The number of failures that were reported, and the reply.
    FailuresReported(BreakerId, u64, Result<Reply, FleetError>),
    /// A page of the index: its cursor, then the next cursor (0 after the last page) and the breaker ids.
    IndexPage(u64, Result<(u64, Vec<String>), FleetError>),
    Registered,
}

impl Worker {
    pub(super) fn on_completion(&mut self, completion: Completion) {
        // Broadcasts that arrived on the same connection before the reply are handled before it.
        while let Ok(push) = self.pushes.1.try_recv() {
            self.on_push(&push);
        }
        if let Completion::Replied(_, reply) | Completion::FailuresReported(_, _, reply) = &completion {
            self.queue.on_completed(!reply.as_ref().is_err_and(FleetError::is_unavailable));
        }
        match completion {
            Completion::Connected(Ok(reply)) => self.on_connected(reply),
            Completion::Connected(Err(error)) => self.on_disconnect(error),
            Completion::Heartbeat(reply) => self.on_heartbeat(reply),
            Completion::Replied(id, Ok(reply)) => self.on_reply(&id, reply),
            Completion::Replied(id, Err(error)) => self.on_request_failed(&id, error),
            Completion::FailuresReported(id, _, Ok(reply)) => {
                if let (Grant::Granted, Some((threshold, span)), Some(shared)) =
                    (reply.grant, self.failure_sum, self.members.get_mut(&id))
                {
                    shared.open_on_failure_sum(threshold, span);
                }
                self.on_unrequested_state(&id, &reply.state);
            }
            // The next report includes these failures again.
            Completion::FailuresReported(id, failures, Err(_)) => {
                if let Some(shared) = self.members.get_mut(&id) {
                    shared.reported_failures = shared.reported_failures.saturating_sub(failures);
                }
            }
            Completion::IndexPage(cursor, Ok((next, ids))) => {
                for id in ids {
                    if let Some(id) = self.members.resolve(&id, true) {
                        self.read(&id);
                    }
                }
                if self.index_cursor == Some(cursor) {
                    self.index_cursor = (next != 0).then_some(next);
                    self.read_index_page();
                }
            }
            // A failed page is requested again with the next heartbeat.
            Completion::IndexPage(_, Err(_)) | Completion::Registered => {}
        }
        self.send_queued();
    }

    /// Applies a state from a broadcast, or from the reply to a report of failures.
    pub(super) fn on_unrequested_state(&mut self, id: &BreakerId, state: &FleetState) {
        let Some(shared) = self.members.get_mut(id) else { return };
        let has_lost_reply = mem::take(&mut shared.has_lost_reply);
        let is_new = shared.member.on_broadcast(state.clone(), Instant::now());
        if has_lost_reply && shared.circuit.key().is_some() {
            // The request whose reply was lost may have made this change, so the next heartbeat updates the index.
            self.changes.index(id.clone(), state.index_ttl());
        }
        if is_new {
            self.emit_state(id, state);
        }
        self.advance(id);
    }

    fn on_reply(&mut self, id: &BreakerId, reply: Reply) {
        let Some(shared) = self.members.get_mut(id) else { return };
        let state = reply.state.clone();
        let has_lost_reply = mem::take(&mut shared.has_lost_reply);
        let (may_have_changed, is_keyed) = (reply.changed || has_lost_reply, shared.circuit.key().is_some());
        shared.is_refused = false;
        let is_new = shared.member.on_reply(reply, Instant::now(), &self.timing);
        if may_have_changed {
            // The heartbeat counts the change, so that instances that missed the broadcast detect it.
            self.changes.record();
            if is_keyed {
                self.changes.index(id.clone(), state.index_ttl());
            }
            self.send_heartbeat();
        }
        if is_new {
            self.emit_state(id, &state);
        }
        self.advance(id);
    }

    fn on_request_failed(&mut self, id: &BreakerId, error: FleetError) {
        let Some(shared) = self.members.get_mut(id) else { return };
        shared.member.on_request_failed(Instant::now(), &self.timing);
        if error.is_unavailable() {
            shared.has_lost_reply = true;
            // An immediate heartbeat shows if Redis is unavailable or if only this request failed.
            self.heartbeats.next = self.heartbeats.next.min(Instant::now());
            return;
        }
        if !mem::replace(&mut shared.is_refused, true) {
            let event = FleetEvent::Refused { breaker: shared.circuit.name(), key: shared.key(), error };
            self.emit(&event);
        }
    }

    /// Reads the states of all tracked breakers, and then of all breakers in the index of open keyed breakers.
    pub(super) fn read_all(&mut self) {
        for id in self.members.ids(|_| true) {
            self.read(&id);
        }
        self.index_cursor = self.members.has_keyed().then_some(0);
        self.read_index_page();
    }

    /// Requests the next page of the index, unless the index is fully read.
    pub(super) fn read_index_page(&mut self) {
        if let Some(cursor) = self.index_cursor {
            let connection = self.connection.clone();
            self.requests.spawn(async move { Completion::IndexPage(cursor, connection.index_page(cursor).await) });
        }
    }

    /// Adds all open keyed breakers of this instance to the index again, in case the index has lost them.
    pub(super) fn index_all(&mut self) {
        let now = Instant::now();
        for id in self.members.ids(|shared| shared.circuit.key().is_some()) {
            let ttl = self.members.get(&id).map(|shared| shared.state_to_restore(now).index_ttl());
            if let Some(ttl) = ttl.filter(|ttl| !ttl.is_zero()) {
                self.changes.index(id, ttl);
            }
        }
    }

    fn read(&mut self, id: &BreakerId) {
        if let Some(shared) = self.members.get_mut(id) {
            shared.member.request_read();
            self.advance(id);
        }
    }

    /// Reports the failures of all breakers since the last report, if the fleet sums them.
    pub(super) fn report_failures(&mut self) {
        if self.failure_sum.is_none() {
            return;
        }
        for id in self.members.ids(|shared| shared.circuit.snapshot().failures > shared.reported_failures) {
            self.queue.push(QueueItem::FailureReport(id), false);
        }
        self.send_queued();
    }

    /// Reports the failures of one breaker since its last report. Failures of a circuit that is not closed are skipped.
    pub(super) fn report_failures_of(&mut self, id: &BreakerId) {
        let (Some(sum), Some(shared)) = (self.failure_sum, self.members.get_mut(id)) else { return };
        let snapshot = shared.circuit.snapshot();
        let failures = snapshot.failures.saturating_sub(shared.reported_failures);
        shared.reported_failures += failures;
        if failures == 0 || snapshot.entered != BreakerState::Closed {
            return;
        }
        let (connection, keys, id) = (self.connection.clone(), shared.keys.clone(), id.clone());
        self.queue.on_sent();
        self.requests.spawn(async move {
            Completion::FailuresReported(id, failures, connection.report_failures(&keys, failures, sum).await)
        });
    }

    fn emit_state(&self, id: &BreakerId, state: &FleetState) {
        if let Some(event) = self.members.get(id).and_then(|shared| shared.event_of(state)) {
            self.emit(&event);
        }
    }

    /// Emits the event of an expired override, if there is one.
    pub(super) fn emit_expiry(&mut self, id: &BreakerId) {
        if let Some(event) = self.members.get_mut(id).and_then(|shared| shared.take_expiry(Instant::now())) {
            self.emit(&event);
        }
    }
}
