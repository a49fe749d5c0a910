//! The generated code does not depend on names of the surrounding module, which may shadow any of them.
#![no_implicit_prelude]

use ::steadfast::{circuit_breaker, retry};

#[allow(non_camel_case_types, dead_code)]
mod shadow {
    pub struct Result;
    pub struct Option;
    pub struct Some;
    pub struct None;
    pub struct Ok;
    pub struct Err;
    pub struct Duration;
    pub mod std {}
    pub mod core {}
}

#[allow(unused_imports)]
use shadow::*;

const DECLARATION: u8 = 7;

#[retry(max_attempts = 3, backoff = exponential(base = 1ms), max_elapsed = 1s)]
#[circuit_breaker(name = "hygiene", failure_threshold = 2, recovery_timeout = 1s)]
fn sync(outcome: u8, attempts: u8, permit: u8, delay: u8) -> ::std::io::Result<u8> {
    ::core::result::Result::Ok(outcome + attempts + permit + delay + DECLARATION)
}

#[circuit_breaker(name = "hygiene")]
#[retry]
async fn on_top(open: u8, rejection: u8) -> ::core::option::Option<u8> {
    ::core::option::Option::Some(open + rejection)
}

fn main() {
    ::core::assert_eq!(sync(1, 2, 3, 4).unwrap(), 17);
    ::core::mem::drop(on_top(1, 2));
}
