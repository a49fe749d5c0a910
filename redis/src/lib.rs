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
