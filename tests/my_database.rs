#![allow(clippy::unwrap_used, clippy::expect_used)]
#[path = "it/transient.rs"]
mod transient;
use std::cell::Cell;
#[derive(Debug, PartialEq, thiserror::Error, steadfast::Transient)]
enum Failure {
    #[error("not now, attempt {0}")]
    #[transient]
    Transient(u32),
    #[error("never")]
    Permanent,
}
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
    fn call(&self) -> Result<u32, Failure> {
        self.calls.set(self.calls.get() + 1);
        if self.outcomes == "T" { Err(Failure::Transient(1)) } else { Err(Failure::Permanent) }
    }
}
