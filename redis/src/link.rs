//! The connection to Redis: made, used, and given up for lost.

mod limited;
mod request;
mod server;

use std::{
    fmt,
    future::Future,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use redis::{FromRedisValue, PushInfo, Script, ScriptInvocation};
use tokio::{sync::mpsc::UnboundedSender, time::timeout};

use self::server::{Connection, Server};
pub(crate) use self::{
    limited::Limited,
    request::{Request, Trip},
};
use crate::{
    FleetBuilder, FleetError,
    answer::{Answer, Raw},
    error::{Secrets, timed_out},
    names::{self, Keys},
};

/// How Redis is reached, and what is said there in whose name.
///
/// One connection takes questions, answers and messages, so that a fleet needs as many as it has instances.
pub(crate) struct Link {
    server: Server,
    secrets: Secrets,
    timeout: Duration,
    interval: Duration,
    pub(crate) instance: String,
    application: String,
    channel: String,
    breaker: Script,
    heartbeat: Script,
    limit: Script,
    /// Calls that were counted, so that each has a name of its own.
    calls: AtomicU64,
    current: Mutex<Option<Connection>>,
    round_trips: AtomicU64,
    /// Answers so far, those to rate limits included.
    answers: AtomicU64,
}

/// How the fleet is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Beat {
    pub(crate) instances: u64,
    /// Differs after each change.
    pub(crate) changes: u64,
}

/// Heartbeats that an instance may miss and still count as living.
const MISSED: u32 = 5;
/// For how long it is known that a breaker was shared; it is said anew long before.
const REGISTERED: Duration = Duration::from_hours(24);
/// Breakers of keys that one command lists.
const LISTED_AT_ONCE: usize = 500;
/// Connecting takes a few ways there and back, and perhaps TLS.
const CONNECTING: u32 = 10;

impl Link {
    pub(crate) fn new(builder: &FleetBuilder) -> Result<Self, FleetError> {
        let FleetBuilder { addresses, is_cluster, timeout, heartbeat, .. } = builder;
        let (application, instance) = (builder.application_name(), builder.instance_name());
        let (server, secrets) = Server::new(addresses, *is_cluster)?;
        let channel = names::channel(&application, server.database());
        Ok(Self {
            server,
            secrets,
            timeout: *timeout,
            interval: *heartbeat,
            instance,
            channel,
            application,
            breaker: Script::new(include_str!("breaker.lua")),
            heartbeat: Script::new(include_str!("heartbeat.lua")),
            limit: Script::new(include_str!("limit.lua")),
            calls: AtomicU64::new(0),
            current: Mutex::new(None),
            round_trips: AtomicU64::new(0),
            answers: AtomicU64::new(0),
        })
    }

    pub(crate) fn keys(&self, breaker: &str, key: Option<&str>) -> Keys {
        Keys::new(&self.application, breaker, key)
    }

    /// Ways to Redis and back so far.
    pub(crate) fn round_trips(&self) -> u64 {
        // ORDERING: Relaxed: a number to look at.
        self.round_trips.load(Ordering::Relaxed)
    }

    /// Returns a number that rises with each answer of Redis.
    pub(crate) fn answers(&self) -> u64 {
        // ORDERING: Relaxed: a number that is compared with itself.
        self.answers.load(Ordering::Relaxed)
    }

    /// How long a connection may take to be made, if it can be made at once.
    pub(crate) fn connecting(&self) -> Duration {
        self.timeout * CONNECTING
    }

    pub(crate) fn application(&self) -> &str {
        &self.application
    }

    pub(crate) fn is_up(&self) -> bool {
        self.current().is_some()
    }

    /// Connects and listens; messages go to `pushes`.
    pub(crate) async fn connect(
        &self,
        pushes: UnboundedSender<PushInfo>,
        names: &[String],
    ) -> Result<Beat, FleetError> {
        let limit = self.connecting();
        let connecting = self.server.connect(&self.channel, self.timeout, limit, pushes);
        let connection = timeout(limit, connecting).await.map_err(|_| timed_out())?;
        let connection = connection.map_err(|error| self.secrets.redact(&error))?;
        self.set(Some(connection.clone()));
        let begun = match self.register(names).await {
            // One who may not say so shares all the same.
            Ok(()) | Err(FleetError::Refused(_)) => self.beat_on(connection, 0, &[]).await,
            Err(error) => Err(error),
        };
        if begun.is_err() {
            self.disconnect();
        }
        begun
    }

    /// Says which breakers this instance shares.
    pub(crate) async fn register(&self, names: &[String]) -> Result<(), FleetError> {
        if names.is_empty() {
            return Ok(());
        }
        let (mut connection, key) = (self.connection()?, names::of_application(&self.application, "breakers"));
        let mut commands = redis::pipe();
        commands.cmd("SADD").arg(&key).arg(names).ignore();
        commands.cmd("PEXPIRE").arg(&key).arg(millis(REGISTERED)).ignore();
        self.wait_for(commands.query_async(&mut connection)).await
    }

    /// Whether an instance is known to share a breaker of this name, or those of its keys.
    pub(crate) async fn is_registered(&self, name: &str, is_keyed: bool) -> Result<bool, FleetError> {
        let mut connection = self.connection()?;
        let mut command = redis::cmd("SISMEMBER");
        command.arg(names::of_application(&self.application, "breakers")).arg(names::registered(name, is_keyed));
        self.wait_for(command.query_async(&mut connection)).await
    }

    pub(crate) fn disconnect(&self) {
        self.set(None);
    }

    /// Says that this instance lives, that so many changes were made, and which breakers of keys are in trouble for how long.
    pub(crate) async fn beat(&self, changes: u64, listed: &[(Arc<str>, Duration)]) -> Result<Beat, FleetError> {
        let connection = self.connection()?;
        self.beat_on(connection, changes, listed).await
    }

    /// Says that this instance is no more.
    pub(crate) async fn depart(&self) -> Result<(), FleetError> {
        let mut connection = self.connection()?;
        let mut command = redis::cmd("ZREM");
        command.arg(names::of_application(&self.application, "instances")).arg(&self.instance);
        self.wait_for(command.query_async(&mut connection)).await
    }

    async fn beat_on(
        &self,
        mut connection: Connection,
        changes: u64,
        listed: &[(Arc<str>, Duration)],
    ) -> Result<Beat, FleetError> {
        let mut call = self.heartbeat.prepare_invoke();
        call.key(names::of_application(&self.application, "instances"));
        call.key(names::of_application(&self.application, "version"));
        call.key(names::of_application(&self.application, "listed"));
        call.arg(&self.instance).arg(millis(self.interval * MISSED)).arg(changes);
        for (id, lasts) in listed {
            call.arg(&**id).arg(millis(*lasts));
        }
        // It is due by the next one: if this machine stands still for a moment, Redis is not away.
        let patience = self.interval.max(self.timeout * 3);
        connection.set_response_timeout(patience);
        let (instances, changes) = self.wait_within(patience, call.invoke_async(&mut connection)).await?;
        Ok(Beat { instances, changes })
    }

    /// Asks about a breaker.
    pub(crate) async fn ask(&self, keys: &Keys, request: &Request) -> Result<Answer, FleetError> {
        let mut call = self.call(keys, request.verb());
        request.write_to(&mut call);
        self.answer(&call).await
    }

    /// Adds failures to the fleet's; whoever makes them enough is granted to open.
    pub(crate) async fn report(
        &self,
        keys: &Keys,
        failures: u64,
        (threshold, span): (u64, Duration),
    ) -> Result<Answer, FleetError> {
        let mut call = self.call(keys, "report");
        call.key(&keys.failures).arg(failures).arg(threshold).arg(millis(span));
        self.answer(&call).await
    }

    /// Lists breakers of keys that are in trouble, or were of late, from a place of the list on; gives the next place, 0 at the end.
    pub(crate) async fn listed(&self, cursor: u64) -> Result<(u64, Vec<String>), FleetError> {
        let mut connection = self.connection()?;
        let mut command = redis::cmd("ZSCAN");
        command.arg(names::of_application(&self.application, "listed")).arg(cursor).arg("COUNT").arg(LISTED_AT_ONCE);
        let (next, page): (u64, Vec<(String, f64)>) = self.wait_for(command.query_async(&mut connection)).await?;
        Ok((next, page.into_iter().map(|(id, _)| id).collect()))
    }

    /// The newest entries of a list, as they stand there.
    pub(crate) async fn list(&self, key: &str) -> Result<Vec<String>, FleetError> {
        let mut connection = self.connection()?;
        let mut command = redis::cmd("LRANGE");
        command.arg(key).arg(0).arg(-1);
        self.wait_for(command.query_async(&mut connection)).await
    }

    fn call(&self, keys: &Keys, verb: &str) -> ScriptInvocation<'_> {
        let mut call = self.breaker.prepare_invoke();
        call.key(&keys.state).key(&keys.votes).key(&keys.lease).key(&keys.audit);
        call.arg(verb).arg(&self.instance).arg(&self.channel).arg(&*keys.id);
        call
    }

    async fn answer(&self, call: &ScriptInvocation<'_>) -> Result<Answer, FleetError> {
        let mut connection = self.connection()?;
        let raw: Raw = self.wait_for(call.invoke_async(&mut connection)).await?;
        Answer::read(&raw).ok_or_else(|| FleetError::Refused("an answer that is none of ours".into()))
    }

    async fn wait_for<T: FromRedisValue>(
        &self,
        answer: impl Future<Output = redis::RedisResult<T>>,
    ) -> Result<T, FleetError> {
        // A script that Redis does not know yet takes three ways, each of which has its own limit.
        self.wait_within(self.timeout * 3, answer).await
    }

    async fn wait_within<T: FromRedisValue>(
        &self,
        limit: Duration,
        answer: impl Future<Output = redis::RedisResult<T>>,
    ) -> Result<T, FleetError> {
        // ORDERING: Relaxed: a number to look at.
        self.round_trips.fetch_add(1, Ordering::Relaxed);
        match timeout(limit, answer).await {
            Ok(Ok(answer)) => {
                // ORDERING: Relaxed: a number that is compared with itself.
                self.answers.fetch_add(1, Ordering::Relaxed);
                Ok(answer)
            }
            Ok(Err(error)) => Err(self.secrets.redact(&error)),
            Err(_) => Err(timed_out()),
        }
    }

    fn connection(&self) -> Result<Connection, FleetError> {
        self.current().ok_or_else(|| FleetError::Unavailable(Arc::from("not connected")))
    }

    fn current(&self) -> Option<Connection> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, connection: Option<Connection>) {
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = connection;
    }
}

/// Without the address, which may contain a password.
impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("instance", &self.instance).field("is_up", &self.is_up()).finish_non_exhaustive()
    }
}

/// Rounded up, so that what is short is not nothing.
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros().div_ceil(1_000)).unwrap_or(u64::MAX).min(MOST_MILLIS)
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX).min(MOST_MILLIS * 1_000)
}

fn millis_or_endless(duration: Option<Duration>) -> i64 {
    duration.map_or(-1, |duration| i64::try_from(millis(duration)).unwrap_or(i64::MAX))
}

/// A hundred years: Lua counts them exactly, and Redis takes them.
const MOST_MILLIS: u64 = 3_155_760_000_000;
