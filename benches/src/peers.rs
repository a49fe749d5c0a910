//! The peers, a file for each: how it is set, and the functions that are measured.

pub mod arcly;
pub mod backon;
pub mod circuitbreaker_rs;
pub mod failsafe;
pub mod recloser;
pub mod retry_if;
pub mod tokio_retry2;
pub mod tower_resilience;
