use std::{fmt, sync::Arc};

use tokio::{runtime::Handle, sync::watch, task::JoinHandle, time::timeout};

use crate::{
    AuditEntry, FleetBuilder, FleetError, Operation,
    claims::Claims,
    link::{Link, Request},
    names::Keys,
    task::{Members, Task},
};

/// Shares circuit breakers with the other instances of an application, through Redis.
///
/// A task in the background talks to Redis. Calls go by the local circuit alone, so a closed breaker costs them nothing, and what
/// becomes of Redis does not concern them. Keep it for as long as the program runs: when it is dropped, the task ends.
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
#[must_use = "the task ends when this is dropped"]
pub struct Fleet {
    link: Arc<Link>,
    stop: watch::Sender<bool>,
    status: watch::Receiver<Status>,
    task: Option<JoinHandle<()>>,
    /// Until it is dropped, no other fleet of this program shares the same.
    _claims: Claims,
}

/// What this instance knows of its fleet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Status {
    pub(crate) is_available: bool,
    pub(crate) instances: u64,
}

impl Fleet {
    /// A fleet that meets at this address; nothing happens before [`FleetBuilder::start`].
    ///
    /// `redis://user:password@host:port/database`; `rediss://` with the feature `tls-rustls`; the
    /// program's rustls provider is used, or ring where it has chosen none. The address goes into no text.
    #[allow(clippy::new_ret_no_self, reason = "a builder")]
    pub fn connect(address: &str) -> FleetBuilder {
        FleetBuilder::new(vec![address.to_owned()], false)
    }

    /// A fleet that meets in a cluster, of which these are some nodes: the others are found, and followed as they change.
    ///
    /// The addresses as in [`connect`](Self::connect), with one user and password for all. All that belongs to one breaker, and to one
    /// key of a limit, is in one slot. The instances meet where the application's own slot is: while that has no master, each goes
    /// by itself.
    #[cfg(feature = "cluster")]
    pub fn connect_cluster<'a>(nodes: impl IntoIterator<Item = &'a str>) -> FleetBuilder {
        FleetBuilder::new(nodes.into_iter().map(str::to_owned).collect(), true)
    }

    pub(crate) fn start(builder: &FleetBuilder) -> Result<Self, FleetError> {
        builder.check()?;
        let (shares, mut claims) = (builder.shares()?, Claims::new());
        let link = Arc::new(Link::new(builder)?);
        let runtime = Handle::try_current().map_err(|_| FleetError::NoRuntime)?;
        shares.claim(&mut claims)?;
        builder.limits.iter().try_for_each(|limits| claims.add(*limits, "rate limits in Redis"))?;
        let members = Members::new(link.clone(), shares);
        let (stop, stopped) = watch::channel(false);
        let (status_of_task, status) = watch::channel(Status::default());
        let task = Task::new(builder, members, link.clone(), status_of_task);
        builder.limits.iter().for_each(|limits| limits.attach(link.clone()));
        let task = Some(runtime.spawn(task.run(stopped)));
        Ok(Self { link, stop, status, task, _claims: claims })
    }

    /// What this instance is called by the others.
    #[must_use]
    pub fn instance(&self) -> &str {
        &self.link.instance
    }

    /// Whether Redis answers.
    #[must_use]
    pub fn is_available(&self) -> bool {
        self.status.borrow().is_available
    }

    /// How many instances live, as of the last heartbeat; 0 while Redis does not answer.
    #[must_use]
    pub fn instances(&self) -> u64 {
        self.status.borrow().instances
    }

    /// Ways to Redis and back so far.
    #[must_use]
    pub fn round_trips(&self) -> u64 {
        self.link.round_trips()
    }

    /// Waits until Redis answers.
    pub async fn available(&self) {
        // The task outlives what it is asked by, so there is no other end.
        _ = self.status.clone().wait_for(|status| status.is_available).await;
    }

    /// Does to a breaker of every instance what an operator wants, and writes it into the audit trail.
    ///
    /// It need not be shared by this instance: an operator's program shares nothing, and names the application. If the fleet is still
    /// connecting, it waits for that, ten times the [`timeout`](FleetBuilder::timeout) at most. Where that is short for the way to
    /// Redis, an operator's program takes a longer one.
    ///
    /// # Errors
    ///
    /// Redis does not answer in time, in which case it may still have been done, and [`audit`](Self::audit) tells; or it refuses. Or
    /// Redis knows of no instance of the application that shares a breaker of this name, with or without a key as the operation has it;
    /// then nothing is done.
    pub async fn operate(&self, breaker: &str, operation: &Operation) -> Result<(), FleetError> {
        if operation.expires_in.is_some_and(|duration| duration.is_zero()) {
            return Err(FleetError::Setting("`expires_in` must be longer than 0"));
        }
        self.reach().await?;
        self.check_is_shared(breaker, operation.key.is_some()).await?;
        let keys = self.link.keys(breaker, operation.key.as_deref());
        let known = self.link.ask(&keys, &Request::Operate(operation.clone())).await?.known;
        let listed = operation.key.is_some().then(|| (keys.id, known.is_listed_for()));
        // For those whom the message does not reach; if this is lost, they look every so often.
        _ = self.link.beat(1, listed.as_slice()).await;
        Ok(())
    }

    /// What operators have done to a breaker of the fleet, the newest first: the last hundred of ninety days.
    ///
    /// # Errors
    ///
    /// Redis does not answer in time, or refuses.
    pub async fn audit(&self, breaker: &str) -> Result<Vec<AuditEntry>, FleetError> {
        self.entries(&self.link.keys(breaker, None)).await
    }

    /// The same for the breaker of a key.
    ///
    /// # Errors
    ///
    /// Redis does not answer in time, or refuses.
    pub async fn audit_of(&self, breaker: &str, key: &str) -> Result<Vec<AuditEntry>, FleetError> {
        self.entries(&self.link.keys(breaker, Some(key))).await
    }

    async fn check_is_shared(&self, breaker: &str, is_keyed: bool) -> Result<(), FleetError> {
        if self.link.is_registered(breaker, is_keyed).await? {
            return Ok(());
        }
        let is_otherwise = self.link.is_registered(breaker, !is_keyed).await?;
        Err(match (is_otherwise, is_keyed) {
            (true, true) => FleetError::Setting("this breaker has no keys: leave `key` out"),
            (true, false) => FleetError::Setting("there is a breaker of this name for each key: say which, by `key`"),
            (false, _) => {
                FleetError::NobodyShares { application: self.link.application().into(), breaker: breaker.into() }
            }
        })
    }

    /// Waits for a connection that is being made.
    async fn reach(&self) -> Result<(), FleetError> {
        let is_reached = timeout(self.link.connecting(), self.available()).await;
        is_reached.map_err(|_| FleetError::Unavailable("not connected".into()))
    }

    async fn entries(&self, keys: &Keys) -> Result<Vec<AuditEntry>, FleetError> {
        self.reach().await?;
        let lines = self.link.list(&keys.audit).await?;
        Ok(lines.iter().filter_map(|line| AuditEntry::read(line)).collect())
    }

    /// Ends it: takes back this instance's votes, its leases and its place among the living. The circuits stay as they are, and go by
    /// themselves: one that was forced open without an end stays so until its `reset`.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        if let Some(task) = self.task.take() {
            _ = task.await;
        }
    }
}

/// The task ends by itself, without anybody waiting for it.
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
