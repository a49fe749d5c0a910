//! The public handle of a fleet: start, status, overrides, audit trail, stop.

mod builder;
mod share;

use std::{fmt, sync::Arc};

use tokio::{runtime::Handle, sync::watch, task::JoinHandle, time::timeout};

use self::share::{Claims, SharedBreakers};
pub use self::{builder::FleetBuilder, share::ShareTarget};
use crate::{
    AuditEntry, FleetError, Override,
    connection::{Connection, Request},
    protocol::keys::BreakerKeys,
    worker::{Members, Status, Worker},
};

/// Shares circuit breakers with the other instances of an application, through Redis.
///
/// A background task communicates with Redis. Calls consult only the local circuit, so a closed breaker has no extra cost, and calls are
/// not affected by a Redis outage. Keep the handle for as long as the program runs: dropping it ends the task.
///
/// ```no_run
/// use steadfast_redis::{Fleet, FleetError};
///
/// # #[steadfast::circuit_breaker(name = "payments")]
/// # fn pay() -> std::io::Result<()> { Ok(()) }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), FleetError> {
/// let fleet = Fleet::connect("redis://127.0.0.1")
///     .application("shop")
///     .share(steadfast::breaker("payments"))
///     .on_event(|event| eprintln!("{event}"))
///     .start()?;
/// // ... the program ...
/// fleet.stop().await;
/// # Ok(())
/// # }
/// ```
#[must_use = "dropping the fleet ends its background task"]
pub struct Fleet {
    connection: Arc<Connection>,
    stop: watch::Sender<bool>,
    status: watch::Receiver<Status>,
    worker: Option<JoinHandle<()>>,
    /// Keeps other fleets of this program from sharing the same breakers and rate limits.
    _claims: Claims,
}

impl Fleet {
    /// Returns the builder of a fleet that connects to this address. No connection is made before [`FleetBuilder::start`].
    ///
    /// The format is `redis://user:password@host:port/database`. `rediss://` requires the feature `tls-rustls`; it uses the program's
    /// default rustls provider and installs ring if there is none. The address does not appear in errors, events or `Debug` output.
    #[allow(clippy::new_ret_no_self, reason = "a builder")]
    pub fn connect(address: &str) -> FleetBuilder {
        FleetBuilder::new(vec![address.to_owned()], false)
    }

    /// Returns the builder of a fleet that connects to a Redis cluster. The addresses are those of some of its nodes; the client
    /// discovers the others and follows changes of the cluster.
    ///
    /// The addresses have the format of [`connect`](Self::connect), with the same user and password for all. All Redis keys of one breaker
    /// are in one slot, and so are those of one key of a rate limit. Heartbeats use the slot of the application. While that slot has no
    /// master, each instance uses only its local circuits.
    #[cfg(feature = "cluster")]
    pub fn connect_cluster<'a>(nodes: impl IntoIterator<Item = &'a str>) -> FleetBuilder {
        FleetBuilder::new(nodes.into_iter().map(str::to_owned).collect(), true)
    }

    fn start(builder: &FleetBuilder) -> Result<Self, FleetError> {
        let FleetBuilder { config, targets, rate_limits, on_event } = builder;
        config.validate()?;
        let (shared, mut claims) = (SharedBreakers::of(targets)?, Claims::new());
        let connection = Arc::new(Connection::new(config)?);
        let runtime = Handle::try_current().map_err(|_| FleetError::NoRuntime)?;
        shared.claim(&mut claims)?;
        rate_limits.iter().try_for_each(|limits| claims.add(*limits, "rate limits in Redis"))?;
        let members = Members::new(connection.clone(), shared.named, shared.keyed);
        let (stop, stopped) = watch::channel(false);
        let (status_sender, status) = watch::channel(Status::default());
        let worker = Worker::new(config, on_event.clone(), members, connection.clone(), status_sender);
        for limits in rate_limits {
            limits.attach(connection.clone());
        }
        let worker = Some(runtime.spawn(worker.run(stopped)));
        Ok(Self { connection, stop, status, worker, _claims: claims })
    }

    /// The name of this instance, with its random suffix, as it appears in events and reasons.
    #[must_use]
    pub fn instance(&self) -> &str {
        &self.connection.instance
    }

    /// Returns true if the fleet is connected to Redis.
    #[must_use]
    pub fn is_available(&self) -> bool {
        self.status.borrow().is_available
    }

    /// The number of live instances at the last heartbeat; 0 while the fleet is disconnected.
    #[must_use]
    pub fn instances(&self) -> u64 {
        self.status.borrow().instances
    }

    /// The number of round trips to Redis so far.
    #[must_use]
    pub fn round_trips(&self) -> u64 {
        self.connection.round_trips()
    }

    /// Waits until the fleet is connected to Redis.
    pub async fn available(&self) {
        // An error means that the worker has ended, as it does after this handle is dropped.
        _ = self.status.clone().wait_for(|status| status.is_available).await;
    }

    /// Overrides the state of a breaker in every instance, and records the override in the audit trail.
    ///
    /// The breaker need not be shared by this instance: an operator's program shares nothing and sets only the application. If the fleet
    /// is still connecting, the call waits for at most ten times the [`timeout`](FleetBuilder::timeout). An operator's program that is far
    /// from Redis should set a longer timeout.
    ///
    /// # Errors
    ///
    /// - [`FleetError::Unavailable`] if Redis does not reply in time. The override may have been applied nevertheless;
    ///   the entries of [`audit`](Self::audit) show if it was.
    /// - [`FleetError::Refused`] if Redis returns an error.
    /// - [`FleetError::NotShared`] if no instance of the application shares a breaker of this name. Nothing is changed.
    /// - [`FleetError::InvalidSetting`] if the expiry is zero, or if a key is given for a breaker without keys or missing for a keyed one.
    ///   Nothing is changed.
    pub async fn apply_override(&self, breaker: &str, manual: &Override) -> Result<(), FleetError> {
        if manual.expires_in.is_some_and(|duration| duration.is_zero()) {
            return Err(FleetError::InvalidSetting("`expires_in` must be longer than 0"));
        }
        self.wait_for_connection().await?;
        self.check_is_shared(breaker, manual.key.is_some()).await?;
        let keys = self.connection.keys(breaker, manual.key.as_deref());
        let state = self.connection.send(&keys, &Request::Override(manual.clone())).await?.state;
        let indexed = manual.key.is_some().then(|| (keys.id, state.index_ttl()));
        // The heartbeat counts the change, so that instances that missed the broadcast detect it. If it is lost, they find the change in
        // their next full read.
        _ = self.connection.heartbeat(1, indexed.as_slice()).await;
        Ok(())
    }

    /// Returns the overrides of a breaker, newest first. The trail keeps the last 100 entries, for 90 days after the newest.
    ///
    /// # Errors
    ///
    /// Fails if Redis does not reply in time or returns an error.
    pub async fn audit(&self, breaker: &str) -> Result<Vec<AuditEntry>, FleetError> {
        self.audit_entries(&self.connection.keys(breaker, None)).await
    }

    /// Returns the overrides of one key of a keyed breaker, as [`audit`](Self::audit) does.
    ///
    /// # Errors
    ///
    /// Fails if Redis does not reply in time or returns an error.
    pub async fn audit_of(&self, breaker: &str, key: &str) -> Result<Vec<AuditEntry>, FleetError> {
        self.audit_entries(&self.connection.keys(breaker, Some(key))).await
    }

    async fn check_is_shared(&self, breaker: &str, is_keyed: bool) -> Result<(), FleetError> {
        if self.connection.is_registered(breaker, is_keyed).await? {
            return Ok(());
        }
        let has_other_form = self.connection.is_registered(breaker, !is_keyed).await?;
        Err(match (has_other_form, is_keyed) {
            (true, true) => FleetError::InvalidSetting("this breaker has no keys: remove `key`"),
            (true, false) => FleetError::InvalidSetting("this breaker is keyed: select one with `key`"),
            (false, _) => {
                FleetError::NotShared { application: self.connection.application().into(), breaker: breaker.into() }
            }
        })
    }

    /// Waits for a connection that is being established.
    async fn wait_for_connection(&self) -> Result<(), FleetError> {
        let connected = timeout(self.connection.connect_timeout(), self.available()).await;
        connected.map_err(|_| FleetError::not_connected())
    }

    async fn audit_entries(&self, keys: &BreakerKeys) -> Result<Vec<AuditEntry>, FleetError> {
        self.wait_for_connection().await?;
        let lines = self.connection.audit_lines(keys).await?;
        Ok(lines.iter().filter_map(|line| AuditEntry::parse(line)).collect())
    }

    /// Stops the fleet: withdraws this instance's votes and leases and removes it from the live instances.
    ///
    /// The local circuits keep their states and are no longer synchronized. A circuit that was forced open without an expiry remains forced
    /// open until its `reset`.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        if let Some(worker) = self.worker.take() {
            _ = worker.await;
        }
    }
}

/// Signals the background task to end, without waiting for it.
impl Drop for Fleet {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

impl fmt::Debug for Fleet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fleet")
            .field("instance", &self.instance())
            .field("is_available", &self.is_available())
            .finish_non_exhaustive()
    }
}
