//! The peers, a file each: settings and measured functions.

pub mod arcly;
pub mod backon;
pub mod circuitbreaker_rs;
pub mod failsafe;
pub mod recloser;
pub mod retry_if;
pub mod seatbelt;
pub mod tokio_retry2;
pub mod tower_resilience;
