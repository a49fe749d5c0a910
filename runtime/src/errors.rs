//! The errors, states and reasons that the modules of the crate report, and the trait for transient errors.

mod blind_spot;
mod breaker_state;
mod bulkhead_full;
mod circuit_open;
mod config_conflict;
mod failure_text;
mod open_reason;
mod rate_limited;
mod stack_error;
mod timed_out;
mod transient;
mod unknown_breaker;

pub use self::{
    blind_spot::BlindSpot,
    breaker_state::BreakerState,
    bulkhead_full::BulkheadFull,
    circuit_open::{CircuitOpen, convert_by},
    config_conflict::{ConfigConflict, DeclarationSite, DeclaredConfig},
    open_reason::OpenReason,
    rate_limited::RateLimited,
    stack_error::{Error, InnerError},
    timed_out::TimedOut,
    transient::Transient,
    unknown_breaker::UnknownBreaker,
};
// The parts from which the rest of the crate builds these types.
pub(crate) use self::{
    bulkhead_full::write_full,
    circuit_open::{EXAMPLE as CIRCUIT_OPEN_EXAMPLE, OptText},
    config_conflict::{PolicyConfig, PolicyTerms},
    failure_text::{FailureText, StoredFailureText},
    open_reason::{COUNT_BITS, PackedReason},
    rate_limited::write_rejection,
};
