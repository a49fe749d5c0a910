//! The one place that asks for a random number.

/// A number in `0..=most`, each as likely as any other.
pub(crate) fn up_to(most: u64) -> u64 {
    #[cfg(feature = "testing")]
    if let Some(number) = crate::testing::random(most) {
        return number;
    }
    fastrand::u64(..=most)
}
