//! Tests of behaviour, one file for each subject.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod attributes;
