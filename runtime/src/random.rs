//! The one place that asks for a random number.

/// A number in `0..=most`, each as likely as any other.
pub(crate) fn up_to(most: u64) -> u64 {
    fastrand::u64(..=most)
}
