#![doc = include_str!("../README.md")]

mod config;
mod connection;
mod error;
mod event;
mod fleet;
mod manual_override;
mod member;
mod panics;
mod protocol;
mod rate_limits;
mod worker;

pub use self::{
    error::FleetError,
    event::FleetEvent,
    fleet::{Fleet, FleetBuilder, ShareTarget},
    manual_override::{AuditEntry, Override},
    rate_limits::{OnUnavailable, RedisRateLimits},
};

/// The page about fleets, compiled and run as doc tests.
#[cfg(doctest)]
#[doc = include_str!("../../docs/fleets.md")]
struct Fleets;
