//! Attributes that let functions survive the failures of what they call.

mod breaker;
mod clock;
mod outcome;
mod random;
mod registry;
mod retry;
mod transient;

pub use steadfast_macros::{Transient, circuit_breaker, retry};

pub use self::{
    breaker::{BreakerConfig, BreakerState, CircuitBreaker, CircuitOpen, OpenReason, Permit, Snapshot},
    registry::{ConfigConflict, Place, breaker, breakers, validate},
    retry::{Jitter, RetryIf, RetryPolicy, Schedule},
    transient::Transient,
};

/// What the attributes expand to. Not for use by hand: it changes without notice.
#[doc(hidden)]
pub mod __private {
    pub use linkme;

    #[cfg(feature = "tokio")]
    pub use crate::retry::pause::{Pause, pause};
    pub use crate::{
        outcome::*,
        registry::{DECLARATIONS, Declaration},
        retry::{attempts::*, pause_thread},
    };
}
