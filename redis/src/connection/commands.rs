//! The requests about breakers and about the fleet as a whole.

use std::{sync::Arc, time::Duration};

use redis::ScriptInvocation;

use super::{Connection, Request, millis, server::ServerConnection};
use crate::{
    FleetError,
    protocol::{
        RawReply, Reply,
        keys::{self, BreakerKeys},
    },
};

/// The reply to a heartbeat.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeartbeatReply {
    /// The number of live instances.
    pub(crate) instances: u64,
    /// The number of changes of the application's breakers that Redis has counted.
    pub(crate) changes: u64,
}

/// The number of heartbeats that an instance may miss before it no longer counts as live.
const LIVE_HEARTBEATS: u32 = 5;
/// The time after which the set of shared breakers expires. Instances register again long before that.
const REGISTRATION_TTL: Duration = Duration::from_hours(24);
/// The number of keyed breakers that one page of the index contains.
const INDEX_PAGE_SIZE: usize = 500;

impl Connection {
    /// Registers the breakers that this instance shares.
    pub(crate) async fn register(&self, registrations: &[String]) -> Result<(), FleetError> {
        if registrations.is_empty() {
            return Ok(());
        }
        let (mut connection, key) = (self.connected()?, self.application_key("breakers"));
        let mut commands = redis::pipe();
        commands.cmd("SADD").arg(&key).arg(registrations).ignore();
        commands.cmd("PEXPIRE").arg(&key).arg(millis(REGISTRATION_TTL)).ignore();
        self.wait_for(commands.query_async(&mut connection)).await
    }

    /// Returns true if an instance has registered a breaker with this name.
    pub(crate) async fn is_registered(&self, name: &str, is_keyed: bool) -> Result<bool, FleetError> {
        let mut connection = self.connected()?;
        let mut command = redis::cmd("SISMEMBER");
        command.arg(self.application_key("breakers")).arg(keys::registration(name, is_keyed));
        self.wait_for(command.query_async(&mut connection)).await
    }

    /// Sends a heartbeat: marks this instance as live, adds `changes` to the number of changes, and sets the time for which each of the
    /// `indexed` breakers stays in the index of open keyed breakers.
    pub(crate) async fn heartbeat(
        &self,
        changes: u64,
        indexed: &[(Arc<str>, Duration)],
    ) -> Result<HeartbeatReply, FleetError> {
        let connection = self.connected()?;
        self.heartbeat_on(connection, changes, indexed).await
    }

    pub(super) async fn heartbeat_on(
        &self,
        mut connection: ServerConnection,
        changes: u64,
        indexed: &[(Arc<str>, Duration)],
    ) -> Result<HeartbeatReply, FleetError> {
        let mut call = self.heartbeat_script.prepare_invoke();
        call.key(self.application_key("instances"));
        call.key(self.application_key("version"));
        call.key(self.application_key("listed"));
        call.arg(&self.instance).arg(millis(self.heartbeat_interval * LIVE_HEARTBEATS)).arg(changes);
        for (id, ttl) in indexed {
            call.arg(&**id).arg(millis(*ttl));
        }
        // The time limit is at least one heartbeat interval, so that a short stall of this machine does not count as an outage of Redis.
        let limit = self.heartbeat_interval.max(self.timeout * 3);
        connection.set_response_timeout(limit);
        let (instances, changes) = self.wait_within(limit, call.invoke_async(&mut connection)).await?;
        Ok(HeartbeatReply { instances, changes })
    }

    /// Removes this instance from the live instances.
    pub(crate) async fn deregister_instance(&self) -> Result<(), FleetError> {
        let mut connection = self.connected()?;
        let mut command = redis::cmd("ZREM");
        command.arg(self.application_key("instances")).arg(&self.instance);
        self.wait_for(command.query_async(&mut connection)).await
    }

    /// Sends a request about a breaker.
    pub(crate) async fn send(&self, keys: &BreakerKeys, request: &Request) -> Result<Reply, FleetError> {
        let mut call = self.breaker_call(keys, request.verb());
        request.write_to(&mut call);
        self.invoke(&call).await
    }

    /// Adds failures to the fleet's sum. If that reaches the threshold, the reply contains `Grant::Granted`, and this instance opens
    /// the fleet.
    pub(crate) async fn report_failures(
        &self,
        keys: &BreakerKeys,
        failures: u64,
        (threshold, span): (u64, Duration),
    ) -> Result<Reply, FleetError> {
        let mut call = self.breaker_call(keys, "report");
        call.key(&keys.failures).arg(failures).arg(threshold).arg(millis(span));
        self.invoke(&call).await
    }

    /// Returns a page of the index of open keyed breakers, and the cursor of the next page, which is 0 after the last one.
    pub(crate) async fn index_page(&self, cursor: u64) -> Result<(u64, Vec<String>), FleetError> {
        let mut connection = self.connected()?;
        let mut command = redis::cmd("ZSCAN");
        command.arg(self.application_key("listed")).arg(cursor).arg("COUNT").arg(INDEX_PAGE_SIZE);
        let (next, page): (u64, Vec<(String, f64)>) = self.wait_for(command.query_async(&mut connection)).await?;
        Ok((next, page.into_iter().map(|(id, _)| id).collect()))
    }

    /// Returns the lines of a breaker's audit trail, newest first.
    pub(crate) async fn audit_lines(&self, keys: &BreakerKeys) -> Result<Vec<String>, FleetError> {
        let mut connection = self.connected()?;
        let mut command = redis::cmd("LRANGE");
        command.arg(&keys.audit).arg(0).arg(-1);
        self.wait_for(command.query_async(&mut connection)).await
    }

    fn application_key(&self, suffix: &str) -> String {
        keys::application_key(&self.application, suffix)
    }

    fn breaker_call(&self, keys: &BreakerKeys, verb: &str) -> ScriptInvocation<'_> {
        let mut call = self.breaker_script.prepare_invoke();
        call.key(&keys.state).key(&keys.votes).key(&keys.lease).key(&keys.audit);
        call.arg(verb).arg(&self.instance).arg(&self.channel).arg(&*keys.id);
        call
    }

    async fn invoke(&self, call: &ScriptInvocation<'_>) -> Result<Reply, FleetError> {
        let mut connection = self.connected()?;
        let raw: RawReply = self.wait_for(call.invoke_async(&mut connection)).await?;
        Reply::parse(&raw).ok_or_else(|| FleetError::Refused("unexpected reply from the breaker script".into()))
    }
}
