//! The texts of errors in events, rejections and snapshots.

use std::{
    fmt::{self, Display, Write},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::panics::contain;

/// The maximum number of characters of a text.
const MAX_CHARS: usize = 256;

/// False if the texts of errors are left out.
static IS_ENABLED: AtomicBool = AtomicBool::new(true);

/// Includes the texts of errors in events, rejections and snapshots, as by default, or leaves them out. Applies to the whole program, from the
/// next event on.
///
/// The text of an error can contain personal data, such as an address in a URL. Without texts, the field `error` of each
/// [`Event`](crate::events::Event) is `None`, and so are the field of its `tracing` event and the last failure of a breaker
/// ([`CircuitOpen::last_failure`](crate::CircuitOpen::last_failure), [`Snapshot::last_failure`](crate::Snapshot::last_failure)). Names, keys and the reasons of operators are not
/// texts of errors and remain.
///
/// ```
/// steadfast::set_error_texts(false);
/// ```
pub fn set_error_texts(included: bool) {
    // ORDERING: Relaxed: a concurrent event may have either form.
    IS_ENABLED.store(included, Ordering::Relaxed);
}

/// Returns the text of an error, cut to [`MAX_CHARS`] characters; `None` if the `Display` panics or texts are left out.
///
/// A panic must not end the call, since without a receiver of the event the error would not be formatted at all.
pub(crate) fn error_text(error: &dyn Display) -> Option<Arc<str>> {
    // ORDERING: Relaxed: see `set_error_texts`.
    if !IS_ENABLED.load(Ordering::Relaxed) {
        return None;
    }
    let mut text = BoundedText::default();
    // The text of a `Display` that returns an error is what it has written before.
    contain(|| _ = write!(text, "{error}")).then(|| text.into())
}

/// The beginning of a text. A longer text ends with an ellipsis.
#[derive(Default)]
struct BoundedText {
    text: String,
    chars: usize,
}

impl Write for BoundedText {
    /// Returns an error if the text is too long, so that a long error is not formatted to its end.
    fn write_str(&mut self, part: &str) -> fmt::Result {
        for character in part.chars() {
            if self.chars == MAX_CHARS {
                self.text.pop();
                self.text.push('…');
                self.chars += 1;
            }
            if self.chars > MAX_CHARS {
                return Err(fmt::Error);
            }
            self.text.push(character);
            self.chars += 1;
        }
        Ok(())
    }
}

impl From<BoundedText> for Arc<str> {
    fn from(text: BoundedText) -> Self {
        text.text.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_ends_with_an_ellipsis() {
        for (part, repeats, expected) in [
            ("ä", 256, "ä".repeat(256)),
            ("ä", 257, "ä".repeat(255) + "…"),
            ("äö", 10_000, "äö".repeat(127) + "ä…"),
            ("", 1_000, String::new()),
        ] {
            let parts = fmt::from_fn(|f| (0..repeats).try_for_each(|_| f.write_str(part)));
            assert_eq!(error_text(&parts).as_deref(), Some(&*expected));
            assert_eq!(error_text(&part.repeat(repeats)).as_deref(), Some(&*expected));
        }
    }

    #[test]
    fn a_display_that_fails_or_panics_is_contained() {
        let fails = fmt::from_fn(|f| f.write_str("begun").and(Err(fmt::Error)));
        assert_eq!(error_text(&fails).as_deref(), Some("begun"));
        let panics = fmt::from_fn(|_| panic!("in a display"));
        assert_eq!(error_text(&panics), None);
        let ignores_failure = fmt::from_fn(|f| {
            (0..1_000).for_each(|_| _ = f.write_str("x"));
            Ok(())
        });
        assert_eq!(error_text(&ignores_failure).as_deref(), Some(&*("x".repeat(255) + "…")));
    }
}
