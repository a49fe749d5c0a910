//! The runtime under another name.
#![deny(warnings)]

mod resilience {
    pub use steadfast::*;
}

// No other item is named `steadfast` here.
mod elsewhere {
    use crate::resilience::{CircuitOpen, Transient, circuit_breaker, retry};

    #[derive(Debug, Transient)]
    #[transient(crate = crate::resilience)]
    pub enum Error {
        #[transient]
        Busy,
        Open,
    }

    impl From<CircuitOpen> for Error {
        fn from(_: CircuitOpen) -> Self {
            Self::Open
        }
    }

    #[retry(crate = crate::resilience, max_attempts = 2, backoff = none)]
    #[circuit_breaker(crate = crate::resilience, name = "elsewhere")]
    pub async fn call() -> Result<(), Error> {
        Err(Error::Busy)
    }

    #[circuit_breaker(crate = crate::resilience, name = "elsewhere, sync", failure_if = |error| matches!(error, Error::Busy))]
    pub fn call_sync() -> Result<(), Error> {
        Err(Error::Busy)
    }
}

fn main() {
    drop(elsewhere::call());
    elsewhere::call_sync().unwrap_err();
    assert!(matches!(elsewhere::Error::Open, elsewhere::Error::Open));
}
