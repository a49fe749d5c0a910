use std::io;

use steadfast::retry;

enum Failure {
    Status { code: u16 },
}

#[retry(retry_if = Failure::Status { .. })]
fn after_equals() -> Result<u8, Failure> {
    Ok(1)
}

#[retry(retry_if(Failure::Status { .. }))]
fn in_parentheses() -> Result<u8, Failure> {
    Ok(1)
}

#[retry(retry_if_result = Failure::Status { code: 500 })]
fn by_value() -> Result<u8, Failure> {
    Ok(1)
}

#[retry(retry_if = Err(_))]
fn every_error() -> io::Result<u8> {
    Ok(1)
}

#[retry(retry_if = Err(Failure::Status { code: 500 }))]
fn one_error() -> Result<u8, Failure> {
    Ok(1)
}

#[retry(retry_if_result = Ok(0))]
fn a_value() -> io::Result<u8> {
    Ok(1)
}

fn main() {}
