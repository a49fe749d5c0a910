//! Sizes of futures.

use crate::{
    by_hand, family, ours,
    peers::{backon, retry_if, seatbelt, tokio_retry2},
    work::{Error, add},
};

/// Returns the size in bytes of each future.
#[must_use]
pub fn futures() -> Vec<(&'static str, usize)> {
    let mut sizes = vec![("the work in an async fn", size_of_val(&bare(0)))];
    sizes.extend(ours::futures().map(|(name, size)| (name, size)));
    sizes.extend([
        ("a retry by hand", size_of_val(&by_hand::retry_future(0))),
        ("backon-macros", size_of_val(&backon::future(0))),
        ("tokio-retry2", size_of_val(&tokio_retry2::future(0))),
        ("retry-if", size_of_val(&retry_if::future(0))),
        ("seatbelt's retry", size_of_val(&seatbelt::future(0))),
        ("tracing's #[instrument]", size_of_val(&instrumented(0))),
    ]);
    sizes.extend(family::full_stack_futures());
    sizes
}

async fn bare(number: u64) -> Result<u64, Error> {
    add(number)
}

#[tracing::instrument]
async fn instrumented(number: u64) -> Result<u64, Error> {
    add(number)
}
