use std::{fmt, sync::Arc, time::Duration};

use steadfast::{all_keyed_breakers, breakers};

use super::{Fleet, share::ShareTarget};
use crate::{
    FleetError, FleetEvent, RedisRateLimits,
    config::{FleetConfig, Quorum},
    worker::OnEvent,
};

/// The configuration of a [`Fleet`]: the breakers and rate limits to share, and the settings.
///
/// Settings are validated by [`start`](Self::start).
#[must_use = "a fleet shares nothing until it is started"]
pub struct FleetBuilder {
    pub(super) config: FleetConfig,
    pub(super) targets: Vec<ShareTarget>,
    pub(super) rate_limits: Vec<&'static RedisRateLimits>,
    pub(super) on_event: Option<OnEvent>,
}

impl FleetBuilder {
    pub(super) const fn new(addresses: Vec<String>, is_cluster: bool) -> Self {
        let config = FleetConfig::new(addresses, is_cluster);
        Self { config, targets: Vec::new(), rate_limits: Vec::new(), on_event: None }
    }

    /// Shares a breaker: `share("payments")`, `share(steadfast::breaker("payments"))`, or a `static` breaker. For a breaker that is
    /// declared with a `key`, the breakers of all keys are shared; a key has no cost until its circuit opens in one of the instances.
    ///
    /// Instances share a breaker if it has the same name in each and their application names are equal.
    pub fn share(mut self, breaker: impl Into<ShareTarget>) -> Self {
        self.targets.push(breaker.into());
        self
    }

    /// Shares every named breaker of the program, including keyed ones.
    pub fn share_all(mut self) -> Self {
        self.targets.extend(breakers().into_iter().map(ShareTarget::from));
        self.targets.extend(all_keyed_breakers().into_iter().map(ShareTarget::from));
        self
    }

    /// Adds a store for rate limits. The calls of all rate limits that use it are counted for the whole fleet.
    pub fn rate_limits(mut self, limits: &'static RedisRateLimits) -> Self {
        if !self.rate_limits.iter().any(|other| std::ptr::eq(*other, limits)) {
            self.rate_limits.push(limits);
        }
        self
    }

    /// Sets the application's name. Only instances with the same application name share state. The default is the file name of the
    /// executable.
    pub fn application(mut self, name: &str) -> Self {
        self.config.application = Some(name.to_owned());
        self
    }

    /// Sets the name that this instance has in events and reasons; a random suffix is added. The default is the host name.
    pub fn instance(mut self, name: &str) -> Self {
        self.config.instance = Some(name.to_owned());
        self
    }

    /// Sets the quorum: the number of instances whose circuits must be open before the fleet opens. The default is 1. Below the quorum,
    /// only the circuits of these instances are open, and the others are not affected.
    ///
    /// A vote counts while the circuit of its instance is open, plus a grace period. It is withdrawn when that circuit closes.
    pub const fn quorum(mut self, instances: u32) -> Self {
        self.config.quorum = Quorum::Instances(instances);
        self
    }

    /// Sets the quorum as a fraction of the instances that were live at the last heartbeat, rounded up: `0.5` for half of them.
    pub const fn quorum_share(mut self, share: f64) -> Self {
        self.config.quorum = Quorum::Fraction(share);
        self
    }

    /// Sets a second condition for opening: the fleet also opens when its instances together count `threshold` failures `within` a time
    /// span, even if each instance is far below its own threshold.
    ///
    /// Successes do not reset the sum. Each instance reports its failures once per heartbeat. The failures of a keyed breaker are summed
    /// only for a short time after its circuit was open.
    pub const fn sum_failures(mut self, threshold: u32, within: Duration) -> Self {
        self.config.failure_sum = Some((threshold, within));
        self
    }

    /// Sets the time limit for a reply from Redis. The default is 50 ms. Calls through a breaker never wait for a reply; calls under a
    /// rate limit do.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.config.timeout = timeout;
        self
    }

    /// Sets the heartbeat interval, at which an instance checks for missed messages. The default is 1 second.
    pub const fn heartbeat(mut self, interval: Duration) -> Self {
        self.config.heartbeat = interval;
        self
    }

    /// Sets the duration of the lease, under which one instance makes the trial calls of a recovery. If that instance crashes or stops
    /// responding, another one gets the lease after this time. The default is 2 seconds.
    pub const fn lease(mut self, lease: Duration) -> Self {
        self.config.lease = lease;
        self
    }

    /// Sets a callback for the events of the fleet. It runs on the fleet's background task, so it should return quickly.
    pub fn on_event(mut self, callback: impl Fn(&FleetEvent) + Send + Sync + 'static) -> Self {
        self.on_event = Some(Arc::new(callback));
        self
    }

    /// Starts the fleet without waiting for Redis. Until the connection is established, this instance uses only its local circuits.
    ///
    /// A program that is not `async` must enter a runtime first: `let _entered = runtime.enter();`. The runtime must have time and I/O
    /// enabled, and it must be multi-threaded, since a current-thread runtime makes no progress outside `block_on`.
    ///
    /// # Errors
    ///
    /// Fails if a setting is out of range, if a breaker is not declared, if another fleet of this program shares the same breaker or rate
    /// limits, or outside a tokio runtime.
    pub fn start(self) -> Result<Fleet, FleetError> {
        Fleet::start(&self)
    }
}

/// Omits the addresses, which may contain a password.
impl fmt::Debug for FleetBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FleetBuilder")
            .field("application", &self.config.application)
            .field("instance", &self.config.instance)
            .field("quorum", &self.config.quorum)
            .finish_non_exhaustive()
    }
}
