use std::{env, fmt, sync::Arc, time::Duration};

use steadfast::{CircuitBreaker, KeyedBreakers, all_keyed_breakers, breakers};

use crate::{Fleet, FleetError, FleetEvent, RedisRateLimits, Share, claims::Claims, share::Shared};

/// A fleet that is yet to be started: what is shared, with whom, and how.
///
/// [`start`](Self::start) says what is wrong with it.
#[must_use = "nothing is shared until it is started"]
pub struct FleetBuilder {
    pub(crate) addresses: Vec<String>,
    pub(crate) is_cluster: bool,
    pub(crate) application: Option<String>,
    pub(crate) instance: Option<String>,
    pub(crate) timeout: Duration,
    pub(crate) heartbeat: Duration,
    pub(crate) lease: Duration,
    pub(crate) quorum: Quorum,
    pub(crate) sum: Option<(u32, Duration)>,
    pub(crate) shared: Vec<Share>,
    pub(crate) limits: Vec<&'static RedisRateLimits>,
    pub(crate) on_event: Option<OnEvent>,
}

pub(crate) type OnEvent = Arc<dyn Fn(&FleetEvent) + Send + Sync>;

/// How many instances have to find a service down.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Quorum {
    Instances(u32),
    Share(f64),
}

impl FleetBuilder {
    pub(crate) fn new(addresses: Vec<String>, is_cluster: bool) -> Self {
        Self {
            addresses,
            is_cluster,
            application: None,
            instance: None,
            timeout: Duration::from_millis(50),
            heartbeat: Duration::from_secs(1),
            lease: Duration::from_secs(2),
            quorum: Quorum::Instances(1),
            sum: None,
            shared: Vec::new(),
            limits: Vec::new(),
            on_event: None,
        }
    }

    /// Shares a breaker: `share("payments")`, `share(steadfast::breaker("payments"))`, or a `static` of your own. Of one that is declared
    /// with a `key` it shares those of all keys; a key costs nothing before its circuit opens, in any of the instances.
    ///
    /// Breakers of different instances are the same if application and name are.
    pub fn share(mut self, breaker: impl Into<Share>) -> Self {
        self.shared.push(breaker.into());
        self
    }

    /// Shares every named breaker of the program, also those of keys.
    pub fn share_all(mut self) -> Self {
        self.shared.extend(breakers().into_iter().map(Share::from));
        self.shared.extend(all_keyed_breakers().into_iter().map(Share::from));
        self
    }

    /// Counts the calls of these limits for the whole fleet.
    pub fn rate_limits(mut self, limits: &'static RedisRateLimits) -> Self {
        if !self.limits.iter().any(|other| std::ptr::eq(*other, limits)) {
            self.limits.push(limits);
        }
        self
    }

    /// The application, whose instances share: its keys are apart from those of others. The name of the program's file unless it is
    /// given.
    pub fn application(mut self, name: &str) -> Self {
        self.application = Some(name.to_owned());
        self
    }

    /// What this instance is called where others read of it; a random ending is added. The machine's name unless it is given.
    pub fn instance(mut self, name: &str) -> Self {
        self.instance = Some(name.to_owned());
        self
    }

    /// How many instances have to find a service down before the fleet opens; 1 unless it is given. Until then each of them keeps its
    /// own circuit open and the others go on.
    ///
    /// A vote counts for as long as the circuit of its instance rests, and a little longer; it is withdrawn if that closes.
    pub const fn quorum(mut self, instances: u32) -> Self {
        self.quorum = Quorum::Instances(instances);
        self
    }

    /// The same as a share of the instances that live, rounded up: `0.5` for half of them. How many live is as of the last heartbeat.
    pub const fn quorum_share(mut self, share: f64) -> Self {
        self.quorum = Quorum::Share(share);
        self
    }

    /// Opens the fleet, too, when its instances together count so many failures within a time: each may be far from its own threshold.
    ///
    /// Successes between them count for nothing. Each instance says once for each heartbeat how many there were. The failures of the
    /// breaker of a key are summed only while it is in trouble.
    pub const fn sum_failures(mut self, threshold: u32, within: Duration) -> Self {
        self.sum = Some((threshold, within));
        self
    }

    /// How long an answer of Redis may take; 50 ms unless it is given. A call through a breaker never waits for one, a call under a rate
    /// limit does.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How often an instance asks whether it has missed a message; every second unless it is given.
    pub const fn heartbeat(mut self, interval: Duration) -> Self {
        self.heartbeat = interval;
        self
    }

    /// For how long the trial calls of a recovery are left to an instance that says nothing more, as when it has died; 2 s unless it is
    /// given.
    pub const fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// Calls `callback` with what happens to the fleet, on the fleet's own task: it should not take long.
    pub fn on_event(mut self, callback: impl Fn(&FleetEvent) + Send + Sync + 'static) -> Self {
        self.on_event = Some(Arc::new(callback));
        self
    }

    /// Starts to share. It does not wait for Redis: until that answers, each circuit goes by itself.
    ///
    /// # Errors
    ///
    /// Something that was said makes no sense, another fleet of this program shares the same, or this is not a tokio runtime. A program that
    /// is not `async` enters one: `let _entered = runtime.enter();`, of several threads, as nobody drives it, and with time and I/O enabled.
    pub fn start(self) -> Result<Fleet, FleetError> {
        Fleet::start(&self)
    }

    /// The breakers with a name and those with keys, each once.
    pub(crate) fn shares(&self) -> Result<Shares, FleetError> {
        let mut shares = Shares::default();
        for Share(shared) in &self.shared {
            match shared {
                Shared::Named(breaker) => once(&mut shares.named, breaker, <CircuitBreaker>::name)?,
                Shared::Keyed(breakers) => once(&mut shares.keyed, breakers, KeyedBreakers::name)?,
                Shared::Unknown(name) => return Err(FleetError::UnknownBreaker(name.clone())),
            }
        }
        Ok(shares)
    }

    pub(crate) fn check(&self) -> Result<(), FleetError> {
        let is_quorum = match self.quorum {
            Quorum::Instances(instances) => instances > 0,
            Quorum::Share(share) => share > 0.0 && share <= 1.0,
        };
        let checks = [
            (is_quorum, "`quorum` must be at least 1, a share above 0 and at most 1"),
            (
                self.sum.is_none_or(|(threshold, span)| threshold > 0 && !span.is_zero()),
                "`sum_failures` must be above 0",
            ),
            (!self.timeout.is_zero(), "`timeout` must be longer than 0"),
            (self.timeout <= Duration::from_mins(1), "`timeout` must be at most a minute"),
            (self.heartbeat >= Duration::from_millis(10), "`heartbeat` must be at least 10 ms"),
            (self.heartbeat <= Duration::from_mins(1), "`heartbeat` must be at most a minute"),
            (self.lease <= Duration::from_hours(1), "`lease` must be at most an hour"),
            (self.lease / 2 >= self.timeout, "`lease` must be at least twice the `timeout`"),
        ];
        checks.into_iter().find(|(holds, _)| !holds).map_or(Ok(()), |(_, what)| Err(FleetError::Setting(what)))
    }

    pub(crate) fn application_name(&self) -> String {
        let file = || Some(env::current_exe().ok()?.file_stem()?.to_string_lossy().into_owned());
        self.application.clone().or_else(file).unwrap_or_else(|| "steadfast".to_owned())
    }

    pub(crate) fn instance_name(&self) -> String {
        let machine = || {
            env::var("HOSTNAME").ok().or_else(|| Some(std::fs::read_to_string("/etc/hostname").ok()?.trim().to_owned()))
        };
        let name = self.instance.clone().or_else(machine).unwrap_or_else(|| "instance".to_owned());
        format!("{}-{:08x}", crate::names::field(&name), fastrand::u32(..))
    }
}

/// What is shared.
#[derive(Debug, Default)]
pub(crate) struct Shares {
    pub(crate) named: Vec<&'static CircuitBreaker>,
    pub(crate) keyed: Vec<&'static KeyedBreakers>,
}

impl Shares {
    pub(crate) fn claim(&self, claims: &mut Claims) -> Result<(), FleetError> {
        self.named.iter().try_for_each(|breaker| claims.add(*breaker, breaker.name()))?;
        self.keyed.iter().try_for_each(|breakers| claims.add(*breakers, breakers.name()))
    }
}

/// Adds one if it is not there; no two may have one name.
fn once<T>(all: &mut Vec<&'static T>, one: &'static T, name: fn(&T) -> &'static str) -> Result<(), FleetError> {
    match all.iter().find(|other| name(other) == name(one)) {
        Some(other) if std::ptr::eq(*other, one) => {}
        Some(_) => return Err(FleetError::SharedTwice(name(one))),
        None => all.push(one),
    }
    Ok(())
}

/// Without the address, which may contain a password.
impl fmt::Debug for FleetBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FleetBuilder")
            .field("application", &self.application)
            .field("instance", &self.instance)
            .field("quorum", &self.quorum)
            .finish_non_exhaustive()
    }
}
