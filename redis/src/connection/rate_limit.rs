//! Calls under a rate limit that is counted in Redis.

use std::{sync::atomic::Ordering, time::Duration};

use redis::ScriptInvocation;
use steadfast::{Algorithm, RateLimitRequest};

use super::{Connection, micros};
use crate::{FleetError, protocol::keys};

/// A call under a rate limit, with the arguments of the script.
#[derive(Clone, Debug)]
pub(crate) struct RateLimitedCall {
    /// The Redis key of the counts.
    pub(crate) key: String,
    algorithm: &'static str,
    pub(crate) limit: u32,
    /// The length of the window, in microseconds.
    pub(crate) per: u64,
    /// The largest number of permits that can be taken at once.
    burst: u32,
    /// The number of permits that the call takes.
    pub(crate) permits: u32,
    /// The number of the call, unique in this instance.
    number: u64,
}

impl Connection {
    /// Returns the arguments of the script for a call, with a unique number.
    pub(crate) fn rate_limited_call(&self, request: &RateLimitRequest<'_>) -> RateLimitedCall {
        let config = &request.config;
        let algorithm = if config.get_algorithm() == Algorithm::Gcra { "gcra" } else { "window" };
        let limit_key = keys::rate_limit_key(&self.application, request.name, request.key, request.overflow);
        RateLimitedCall {
            // The algorithms store their counts in different formats, so each has its own key.
            key: format!("{limit_key}:{algorithm}"),
            algorithm,
            limit: config.get_limit(),
            per: micros(config.get_per()),
            burst: config.get_burst(),
            permits: request.permits,
            // ORDERING: Relaxed: the numbers must differ; their order is irrelevant.
            number: self.rate_limited_calls.fetch_add(1, Ordering::Relaxed),
        }
    }

    /// Requests the admission of a call that starts now. Returns `None` if it is admitted, otherwise the time until there is capacity.
    pub(crate) async fn admit(&self, call: &RateLimitedCall) -> Result<Option<Duration>, FleetError> {
        let mut connection = self.connected()?;
        let script = self.rate_limit_call(call, "admit");
        let (admitted, after, _): (u64, u64, u64) = self.wait_for(script.invoke_async(&mut connection)).await?;
        Ok((admitted == 0).then(|| Duration::from_micros(after)))
    }

    /// Cancels a call that is not made, which removes it from the counts. Has no effect if the call was not admitted.
    pub(crate) async fn cancel(&self, call: &RateLimitedCall) -> Result<(), FleetError> {
        let mut connection = self.connected()?;
        let script = self.rate_limit_call(call, "cancel");
        self.wait_for(script.invoke_async(&mut connection)).await
    }

    fn rate_limit_call(&self, call: &RateLimitedCall, action: &str) -> ScriptInvocation<'_> {
        let RateLimitedCall { key, algorithm, limit, per, burst, permits, number } = call;
        let mut script = self.rate_limit_script.prepare_invoke();
        // With the instance's name, the name of the call is unique in the fleet.
        script.key(key).arg(algorithm).arg(limit).arg(per).arg(format!("{}-{number}", self.instance));
        script.arg(action).arg(permits).arg(burst);
        script
    }
}
