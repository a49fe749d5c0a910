//! Calls under a limit that is counted in Redis.

use std::{sync::atomic::Ordering, time::Duration};

use redis::ScriptInvocation;
use steadfast::{Algorithm, RateLimitRequest};

use super::{Link, micros};
use crate::{FleetError, names};

/// A call under a limit, as Redis is asked for it. Times are in microseconds.
#[derive(Clone, Debug)]
pub(crate) struct Limited {
    /// Under which it is counted.
    pub(crate) key: String,
    algorithm: &'static str,
    pub(crate) limit: u32,
    pub(crate) per: u64,
    /// No other call of this instance has it.
    number: u64,
}

impl Link {
    /// A call under a limit, which no other is like.
    pub(crate) fn limited(&self, request: &RateLimitRequest<'_>) -> Limited {
        let config = &request.config;
        let algorithm = if config.get_algorithm() == Algorithm::Gcra { "gcra" } else { "window" };
        Limited {
            // What one has counted is of no use to the other.
            key: format!(
                "{}:{algorithm}",
                names::of_limit(&self.application, request.name, request.key, request.overflow)
            ),
            algorithm,
            limit: config.get_limit(),
            per: micros(config.get_per()),
            // ORDERING: Relaxed: no two are the same, whatever their order.
            number: self.calls.fetch_add(1, Ordering::Relaxed),
        }
    }

    /// Asks for a call that starts now; `None` if it is admitted, and otherwise how long until there is capacity.
    pub(crate) async fn limit(&self, call: &Limited) -> Result<Option<Duration>, FleetError> {
        let mut connection = self.connection()?;
        let script = self.limit_script(call);
        let (admitted, after, _): (u64, u64, u64) = self.wait_for(script.invoke_async(&mut connection)).await?;
        Ok((admitted == 0).then(|| Duration::from_micros(after)))
    }

    /// Takes a call out of the counts that is not made, if it was admitted.
    pub(crate) async fn give_back(&self, call: &Limited) -> Result<(), FleetError> {
        let mut connection = self.connection()?;
        let mut script = self.limit_script(call);
        script.arg("take out");
        self.wait_for(script.invoke_async(&mut connection)).await
    }

    fn limit_script(&self, call: &Limited) -> ScriptInvocation<'_> {
        let Limited { key, algorithm, limit, per, number } = call;
        let mut script = self.limit.prepare_invoke();
        script.key(key).arg(algorithm).arg(limit).arg(per).arg(self.name_of(*number));
        script
    }

    /// What a call is called in Redis, where it stands among those of all instances.
    fn name_of(&self, number: u64) -> String {
        format!("{}-{number}", self.instance)
    }
}
