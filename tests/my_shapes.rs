#![allow(clippy::unwrap_used, clippy::expect_used, dead_code, unused, missing_docs)]
#[path = "it/shapes.rs"]
mod shapes;
