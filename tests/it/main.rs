//! Tests of behaviour, one file for each subject. Time never passes in them but by hand.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::unchecked_time_subtraction,
    reason = "a test fails by panicking"
)]

mod arguments;
mod breaker;
mod budget;
mod cancellation;
mod clients;
mod configure;
mod futures;
mod hooks;
mod keyed;
mod operator;
mod order;
mod reference;
mod registry;
mod retry;
mod settings;
mod shapes;
mod situations;
mod storm;
mod transient;

use std::cell::Cell;

use steadfast::{CircuitOpen, Transient};

/// An error of each sort.
#[derive(Debug, PartialEq, thiserror::Error, Transient)]
enum Failure {
    #[error("not now, attempt {0}")]
    #[transient]
    Transient(u32),
    #[error("never")]
    Permanent,
    #[error(transparent)]
    Open(#[from] CircuitOpen),
}

/// What a function does, call by call: `S`ucceeds, fails `T`ransiently or `P`ermanently. After the end it goes on as the
/// last.
struct Script {
    calls: Cell<u32>,
    outcomes: &'static str,
}

impl Script {
    const fn new(outcomes: &'static str) -> Self {
        Self { calls: Cell::new(0), outcomes }
    }

    fn calls(&self) -> u32 {
        self.calls.get()
    }

    /// `Ok` with the number of the call, or the failure that stands in the script.
    fn call(&self) -> Result<u32, Failure> {
        let call = self.calls.get();
        self.calls.set(call + 1);
        let outcome = self.outcomes.chars().nth(call as usize).or(self.outcomes.chars().last());
        match outcome {
            Some('S') => Ok(call + 1),
            Some('T') => Err(Failure::Transient(call + 1)),
            _ => Err(Failure::Permanent),
        }
    }
}
