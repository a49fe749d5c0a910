#![doc = include_str!("../README.md")]

mod answer;
mod builder;
mod claims;
mod contain;
mod error;
mod event;
mod fleet;
mod limits;
mod link;
mod member;
mod names;
mod operation;
mod share;
mod task;

pub use self::{
    builder::FleetBuilder,
    error::FleetError,
    event::FleetEvent,
    fleet::Fleet,
    limits::{OnUnavailable, RedisRateLimits},
    operation::{AuditEntry, Operation},
    share::Share,
};

/// The page about fleets, compiled and run as doc tests.
#[cfg(doctest)]
#[doc = include_str!("../../docs/fleets.md")]
struct Fleets;
