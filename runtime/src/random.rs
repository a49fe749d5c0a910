//! The source of all random numbers.

#[cfg(feature = "testing")]
pub(crate) mod seeded;

/// Returns a uniformly distributed number in `0..=max`.
pub(crate) fn up_to(max: u64) -> u64 {
    #[cfg(feature = "testing")]
    if let Some(number) = seeded::random(max) {
        return number;
    }
    fastrand::u64(..=max)
}
