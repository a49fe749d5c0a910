//! The errors, states and reasons that the modules of the crate report, and the trait for transient errors.

mod blind_spot;
mod breaker_state;
mod bulkhead_full;
mod circuit_open;
mod config_conflict;
mod open_reason;
mod rate_limited;
mod timed_out;
mod transient;

pub use self::{
    blind_spot::BlindSpot,
    breaker_state::BreakerState,
    bulkhead_full::BulkheadFull,
    circuit_open::{CircuitOpen, convert_by},
    config_conflict::{ConfigConflict, DeclarationSite, DeclaredConfig},
    open_reason::OpenReason,
    rate_limited::RateLimited,
    timed_out::TimedOut,
    transient::Transient,
};
// The parts from which the rest of the crate builds these types.
pub(crate) use self::{
    circuit_open::OptText,
    config_conflict::{PolicyConfig, PolicyTerms},
    open_reason::{COUNT_BITS, PackedReason},
};
