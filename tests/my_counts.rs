#![allow(clippy::unwrap_used, clippy::expect_used)]
#[path = "it/budget_counts.rs"]
mod budget_counts;
#[path = "it/fallback_counts.rs"]
mod fallback_counts;
#[path = "support.rs"]
mod support;
#[path = "it/timeout_counts.rs"]
mod timeout_counts;
