use std::collections::BTreeMap;

use crate::{RetrySnapshot, slices::POLICIES};

/// Returns the counts of every named retry of the program, sorted by name, including those that have not been called.
///
/// Functions with the same name are counted together.
///
/// ```
/// # use std::io;
/// use steadfast::retry;
///
/// #[retry(name = "charge")]
/// fn charge() -> io::Result<()> {
///     Ok(())
/// }
///
/// charge()?;
/// for retry in steadfast::retries() {
///     println!("{retry}"); // charge: 1 call, 1 succeeded at once, ...
/// }
/// assert!(steadfast::retries().iter().any(|retry| retry.name == "charge" && retry.first_try_successes == 1));
/// # Ok::<(), io::Error>(())
/// ```
#[must_use]
pub fn retries() -> Vec<RetrySnapshot> {
    let mut by_name = BTreeMap::new();
    for policy in POLICIES {
        let name = policy.name();
        policy.statistics().add_to(by_name.entry(name).or_insert_with(|| RetrySnapshot::empty(name)));
    }
    by_name.into_values().collect()
}
