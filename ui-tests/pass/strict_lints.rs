//! The generated code draws no warning in a crate with strict lints.
#![deny(warnings, missing_docs, unused, clippy::pedantic, clippy::nursery)]
#![forbid(unsafe_code)]

use std::io;

use steadfast::{CircuitOpen, Transient, circuit_breaker, retry};

/// An error.
#[derive(Debug, thiserror::Error, Transient)]
pub enum Error {
    /// Transient.
    #[error("timed out")]
    #[transient]
    TimedOut,
    /// As transient as the inner error.
    #[error(transparent)]
    #[transient(inherit)]
    Io(#[from] io::Error),
    /// Never.
    #[error(transparent)]
    Open(#[from] CircuitOpen),
}

/// Both.
///
/// # Errors
///
/// Always.
#[retry(max_attempts = 2, retry_if(io::Error, CircuitOpen))]
#[circuit_breaker(name = "lints of io", failure_if(io::Error))]
pub fn sync(path: &str, mut count: u32, owned: String) -> Result<String, Error> {
    count += 1;
    if count > 1 {
        return Err(Error::TimedOut);
    }
    Ok(format!("{path}{}", String::from(owned)))
}

/// Both.
///
/// # Errors
///
/// Always.
#[circuit_breaker(name = "lints")]
#[retry(max_attempts = 2)]
#[must_use]
pub async fn both(path: &str) -> Result<(), Error> {
    std::future::ready(()).await;
    Err(if path.is_empty() { Error::TimedOut } else { io::Error::from(io::ErrorKind::NotFound).into() })
}

/// A body of one expression.
///
/// # Errors
///
/// Never.
#[retry]
#[circuit_breaker(name = "lints")]
pub async fn short(path: &str) -> io::Result<usize> {
    Ok(path.len())
}

/// With an attribute inside.
///
/// # Errors
///
/// Never.
#[retry]
pub async fn inner_attribute(path: &str) -> io::Result<usize> {
    #![allow(unused_variables)]
    let unused = 1;
    Ok(path.len())
}

fn main() {
    _ = sync("", 0, String::new());
    drop(both(""));
    drop(short(""));
    drop(inner_attribute(""));
}
