//! The list of all fallbacks of the program.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use super::{Fallback, counts::FallbackCounts, snapshot::FallbackSnapshot};
use crate::{
    registry::{REGISTERED, Registered, Registrable, running_doc_test},
    slices::slices,
};

slices! {
    /// The counts of all functions with `#[fallback]`. Several functions may have the same name.
    FALLBACKS = STEADFAST_0_1_0_FALLBACKS: [&'static FallbackCounts];
}

/// The counts of the [`Fallback`]s that have been called or registered, by name.
static BY_NAME: Mutex<BTreeMap<&'static str, &'static FallbackCounts>> = Mutex::new(BTreeMap::new());

#[diagnostic::do_not_recommend]
impl Registrable for Fallback {}

/// Returns the outcomes of the calls of every function with `#[fallback]`, and of every [`Fallback`] that has been called or
/// [registered](crate::register), sorted by name.
///
/// Each outcome is that of the whole call, as its caller saw it: a call that an open circuit rejected and a fallback answered counts as one
/// call with the outcome `fallback`. Functions that have not been called are included, with counts of zero. Functions with the same path,
/// such as methods of two types in one module, are counted together, and so are [`Fallback`]s with the same name.
///
/// ```
/// # use std::io;
/// use steadfast::{CircuitOpen, circuit_breaker, fallback};
///
/// #[fallback(|_error| Ok(1.0))]
/// #[circuit_breaker(name = "rates", failure_threshold = 1)]
/// fn rate(currency: &str) -> io::Result<f64> {
///     Err(io::ErrorKind::TimedOut.into())
/// }
///
/// for _ in 0..3 {
///     assert_eq!(rate("EUR")?, 1.0);
/// }
/// let rates = steadfast::fallbacks().into_iter().find(|fallback| fallback.breakers == ["rates"]).unwrap();
/// assert_eq!((rates.answered, rates.fallback, rates.failed), (0, 3, 0));
/// # Ok::<(), io::Error>(())
/// ```
#[must_use]
pub fn fallbacks() -> Vec<FallbackSnapshot> {
    let registered: Vec<&'static Fallback> = REGISTERED.iter().filter_map(Registered::downcast).collect();
    for fallback in registered {
        _ = fallback.counts(); // adds the name
    }
    let running = running_doc_test();
    let declared = FALLBACKS.iter().copied().filter(|counts| !counts.is_of_other_doc_test(running.as_deref()));
    let by_name: Vec<_> = BY_NAME.lock().unwrap_or_else(PoisonError::into_inner).values().copied().collect();
    let mut sums = BTreeMap::new();
    for counts in declared.chain(by_name) {
        let name = counts.name();
        counts.add_to(sums.entry(name).or_insert_with(|| FallbackSnapshot::empty(name)));
    }
    sums.into_values().collect()
}

/// Returns the counts of a name, which are created if necessary.
#[cold]
pub(super) fn counts_of(name: &'static str) -> &'static FallbackCounts {
    let mut by_name = BY_NAME.lock().unwrap_or_else(PoisonError::into_inner);
    by_name.entry(name).or_insert_with(|| Box::leak(Box::new(FallbackCounts::new(name, &[], ""))))
}
