//! The test environment: Redis servers, instances as processes, the service that they call, and functions that wait for events.

pub(crate) mod instance;
pub(crate) mod load;
pub(crate) mod process;
#[allow(dead_code, reason = "not used by the benchmark")]
pub(crate) mod proxy;
pub(crate) mod server;
pub(crate) mod service;
pub(crate) mod wait;
