//! The connection to Redis: establishing and dropping it, and waiting for replies.
//!
//! The requests are in `commands` and `rate_limit`. `server` hides the differences between one node and a cluster.

mod commands;
mod rate_limit;
mod request;
mod server;

use std::{
    fmt,
    future::Future,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use redis::{FromRedisValue, PushInfo, Script};
use tokio::{sync::mpsc::UnboundedSender, time::timeout};

use self::server::{Server, ServerConnection};
pub(crate) use self::{
    commands::HeartbeatReply,
    rate_limit::RateLimitedCall,
    request::{Request, Vote},
};
use crate::{
    FleetError,
    config::FleetConfig,
    error::Secrets,
    protocol::keys::{self, BreakerKeys},
};

/// The connection of one instance to Redis, established or not.
///
/// One connection carries requests, replies and broadcasts, so a fleet has as many connections as instances.
pub(crate) struct Connection {
    server: Server,
    secrets: Secrets,
    timeout: Duration,
    heartbeat_interval: Duration,
    pub(crate) instance: String,
    application: String,
    channel: String,
    breaker_script: Script,
    heartbeat_script: Script,
    rate_limit_script: Script,
    /// The number of rate-limited calls so far, from which the unique name of each is made.
    rate_limited_calls: AtomicU64,
    /// `None` while disconnected.
    current: Mutex<Option<ServerConnection>>,
    round_trips: AtomicU64,
    /// The number of replies so far, including those to rate limits.
    replies: AtomicU64,
}

/// The time limit for establishing a connection, in multiples of the reply timeout: it takes a few round trips, and possibly a TLS
/// handshake.
const CONNECT_TIMEOUT_FACTOR: u32 = 10;
/// The time limit for a request, in multiples of the reply timeout. A script that Redis has not cached takes three round trips.
const REQUEST_TIMEOUT_FACTOR: u32 = 3;

impl Connection {
    pub(crate) fn new(config: &FleetConfig) -> Result<Self, FleetError> {
        let (application, instance) = (config.application_name(), config.instance_name());
        let (server, secrets) = Server::new(&config.addresses, config.is_cluster)?;
        let channel = keys::channel(&application, server.database());
        Ok(Self {
            server,
            secrets,
            timeout: config.timeout,
            heartbeat_interval: config.heartbeat,
            instance,
            channel,
            application,
            breaker_script: Script::new(include_str!("scripts/breaker.lua")),
            heartbeat_script: Script::new(include_str!("scripts/heartbeat.lua")),
            rate_limit_script: Script::new(include_str!("scripts/rate_limit.lua")),
            rate_limited_calls: AtomicU64::new(0),
            current: Mutex::new(None),
            round_trips: AtomicU64::new(0),
            replies: AtomicU64::new(0),
        })
    }

    pub(crate) fn keys(&self, breaker: &str, key: Option<&str>) -> BreakerKeys {
        BreakerKeys::new(&self.application, breaker, key)
    }

    pub(crate) fn application(&self) -> &str {
        &self.application
    }

    /// The number of round trips to Redis so far.
    pub(crate) fn round_trips(&self) -> u64 {
        // ORDERING: Relaxed: a statistic; no other memory depends on it.
        self.round_trips.load(Ordering::Relaxed)
    }

    /// The number of replies so far.
    pub(crate) fn replies(&self) -> u64 {
        // ORDERING: Relaxed: only compared with earlier values of the same counter.
        self.replies.load(Ordering::Relaxed)
    }

    /// The time limit for establishing a connection.
    pub(crate) fn connect_timeout(&self) -> Duration {
        self.timeout * CONNECT_TIMEOUT_FACTOR
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.current().is_some()
    }

    /// Connects, subscribes to the application's channel, registers the shared breakers and sends a first heartbeat.
    ///
    /// Broadcasts are sent to `pushes`.
    pub(crate) async fn connect(
        &self,
        pushes: UnboundedSender<PushInfo>,
        registrations: &[String],
    ) -> Result<HeartbeatReply, FleetError> {
        let limit = self.connect_timeout();
        let connecting = self.server.connect(&self.channel, self.timeout, limit, pushes);
        let connection = timeout(limit, connecting).await.map_err(|_| FleetError::timed_out())?;
        let connection = connection.map_err(|error| self.secrets.redact(&error))?;
        self.set_current(Some(connection.clone()));
        let first_heartbeat = match self.register(registrations).await {
            // An instance whose ACL user is not allowed to register can still share breakers.
            Ok(()) | Err(FleetError::Refused(_)) => self.heartbeat_on(connection, 0, &[]).await,
            Err(error) => Err(error),
        };
        if first_heartbeat.is_err() {
            self.disconnect();
        }
        first_heartbeat
    }

    pub(crate) fn disconnect(&self) {
        self.set_current(None);
    }

    async fn wait_for<T: FromRedisValue>(
        &self,
        reply: impl Future<Output = redis::RedisResult<T>>,
    ) -> Result<T, FleetError> {
        self.wait_within(self.timeout * REQUEST_TIMEOUT_FACTOR, reply).await
    }

    async fn wait_within<T: FromRedisValue>(
        &self,
        limit: Duration,
        reply: impl Future<Output = redis::RedisResult<T>>,
    ) -> Result<T, FleetError> {
        // ORDERING: Relaxed: a statistic; no other memory depends on it.
        self.round_trips.fetch_add(1, Ordering::Relaxed);
        match timeout(limit, reply).await {
            Ok(Ok(reply)) => {
                // ORDERING: Relaxed: only compared with earlier values of the same counter.
                self.replies.fetch_add(1, Ordering::Relaxed);
                Ok(reply)
            }
            Ok(Err(error)) => Err(self.secrets.redact(&error)),
            Err(_) => Err(FleetError::timed_out()),
        }
    }

    fn connected(&self) -> Result<ServerConnection, FleetError> {
        self.current().ok_or_else(FleetError::not_connected)
    }

    fn current(&self) -> Option<ServerConnection> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_current(&self, connection: Option<ServerConnection>) {
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = connection;
    }
}

/// Omits the addresses, which may contain a password.
impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("instance", &self.instance)
            .field("is_connected", &self.is_connected())
            .finish_non_exhaustive()
    }
}

/// Converts to whole milliseconds, rounded up, so that a short duration does not become zero.
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros().div_ceil(1_000)).unwrap_or(u64::MAX).min(MAX_MILLIS)
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX).min(MAX_MILLIS * 1_000)
}

/// Converts to whole milliseconds; `None`, which means without an end, becomes -1.
fn millis_or_endless(duration: Option<Duration>) -> i64 {
    duration.map_or(-1, |duration| i64::try_from(millis(duration)).unwrap_or(i64::MAX))
}

/// The longest duration, 100 years, in milliseconds. Lua represents this number exactly, and Redis accepts it as an expiry.
const MAX_MILLIS: u64 = 3_155_760_000_000;
