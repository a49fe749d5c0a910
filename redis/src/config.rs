//! The settings of a fleet and their validation.

use std::{env, fs, time::Duration};

use crate::{FleetError, protocol::keys::sanitize_field};

/// The settings of a fleet, as the connection and the worker use them.
#[derive(Clone)]
pub(crate) struct FleetConfig {
    pub(crate) addresses: Vec<String>,
    pub(crate) is_cluster: bool,
    pub(crate) application: Option<String>,
    pub(crate) instance: Option<String>,
    pub(crate) timeout: Duration,
    pub(crate) heartbeat: Duration,
    pub(crate) lease: Duration,
    pub(crate) quorum: Quorum,
    /// The number of failures in all instances together that opens the fleet, and the time span in which they are counted.
    pub(crate) failure_sum: Option<(u32, Duration)>,
}

/// The number of instances whose circuits must be open before the fleet opens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Quorum {
    Instances(u32),
    /// A fraction of the live instances.
    Fraction(f64),
}

impl Quorum {
    /// Returns the number of votes that open the fleet.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "the number of instances is small"
    )]
    pub(crate) fn votes(self, live_instances: u64) -> u64 {
        match self {
            Self::Instances(instances) => instances.into(),
            Self::Fraction(fraction) => ((live_instances as f64 * fraction).ceil() as u64).max(1),
        }
    }
}

impl FleetConfig {
    pub(crate) const fn new(addresses: Vec<String>, is_cluster: bool) -> Self {
        Self {
            addresses,
            is_cluster,
            application: None,
            instance: None,
            timeout: Duration::from_millis(50),
            heartbeat: Duration::from_secs(1),
            lease: Duration::from_secs(2),
            quorum: Quorum::Instances(1),
            failure_sum: None,
        }
    }

    pub(crate) fn validate(&self) -> Result<(), FleetError> {
        let is_quorum_valid = match self.quorum {
            Quorum::Instances(instances) => instances > 0,
            Quorum::Fraction(fraction) => fraction > 0.0 && fraction <= 1.0,
        };
        let checks = [
            (is_quorum_valid, "`quorum` must be at least 1; `quorum_share` must be above 0 and at most 1"),
            (
                self.failure_sum.is_none_or(|(threshold, span)| threshold > 0 && !span.is_zero()),
                "`sum_failures` requires a threshold and a time span above 0",
            ),
            (!self.timeout.is_zero(), "`timeout` must be longer than 0"),
            (self.timeout <= Duration::from_mins(1), "`timeout` must be at most 1 minute"),
            (self.heartbeat >= Duration::from_millis(10), "`heartbeat` must be at least 10 ms"),
            (self.heartbeat <= Duration::from_mins(1), "`heartbeat` must be at most 1 minute"),
            (self.lease <= Duration::from_hours(1), "`lease` must be at most 1 hour"),
            (self.lease / 2 >= self.timeout, "`lease` must be at least twice the `timeout`"),
        ];
        let violated = checks.into_iter().find(|(holds, _)| !holds);
        violated.map_or(Ok(()), |(_, message)| Err(FleetError::InvalidSetting(message)))
    }

    /// Returns the application's name: the configured one, or the file name of the executable.
    pub(crate) fn application_name(&self) -> String {
        let executable = || Some(env::current_exe().ok()?.file_stem()?.to_string_lossy().into_owned());
        self.application.clone().or_else(executable).unwrap_or_else(|| "steadfast".to_owned())
    }

    /// Returns the configured instance name or the host name, with a random suffix that makes it unique.
    pub(crate) fn instance_name(&self) -> String {
        let host_name =
            || env::var("HOSTNAME").ok().or_else(|| Some(fs::read_to_string("/etc/hostname").ok()?.trim().to_owned()));
        let name = self.instance.clone().or_else(host_name).unwrap_or_else(|| "instance".to_owned());
        format!("{}-{:08x}", sanitize_field(&name), fastrand::u32(..))
    }
}
