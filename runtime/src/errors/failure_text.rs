//! The texts of the failures that opened circuits.
//!
//! A rejection does not hold the text, since all threads that reject calls would write to its reference count. It holds the number of the
//! text, and looks the text up when it is asked for.

use std::{
    collections::BTreeMap,
    fmt, mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use once_cell::race::OnceBox;

/// The texts that are in use, by their numbers.
static TEXTS: Mutex<BTreeMap<u64, Arc<str>>> = Mutex::new(BTreeMap::new());
/// The number of the last text. 0 means no text.
static LAST: AtomicU64 = AtomicU64::new(0);

fn texts() -> MutexGuard<'static, BTreeMap<u64, Arc<str>>> {
    TEXTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The text of the failure that opened a circuit, in its breaker.
#[derive(Debug, Default)]
pub(crate) struct StoredFailureText(AtomicU64);

/// A text that was replaced. It can be found until this value is dropped.
#[derive(Debug)]
pub(crate) struct ReplacedText(u64);

impl StoredFailureText {
    /// Replaces the text. The caller excludes other changes.
    pub(crate) fn replace(&self, text: Option<&Arc<str>>) -> ReplacedText {
        // ORDERING: Relaxed: a number is used only to find its text, under the lock.
        let number = text.map_or(0, |text| {
            let number = LAST.fetch_add(1, Ordering::Relaxed) + 1;
            texts().insert(number, text.clone());
            number
        });
        ReplacedText(self.0.swap(number, Ordering::Relaxed))
    }

    /// Restores a text that [`replace`](Self::replace) has replaced. The caller excludes other changes.
    pub(crate) fn restore(&self, mut replaced: ReplacedText) {
        // ORDERING: Relaxed, as above.
        drop(ReplacedText(self.0.swap(mem::take(&mut replaced.0), Ordering::Relaxed)));
    }

    #[inline]
    pub(crate) fn get(&self) -> FailureText {
        // ORDERING: Relaxed, as above.
        FailureText { number: self.0.load(Ordering::Relaxed), found: OnceBox::new() }
    }
}

impl Drop for StoredFailureText {
    fn drop(&mut self) {
        drop(self.replace(None));
    }
}

impl Drop for ReplacedText {
    fn drop(&mut self) {
        if self.0 != 0 {
            texts().remove(&self.0);
        }
    }
}

/// The text of the failure that opened a circuit, in a rejection.
pub(crate) struct FailureText {
    number: u64,
    /// The text, once it has been looked up and found.
    found: OnceBox<Arc<str>>,
}

impl FailureText {
    pub(crate) const fn none() -> Self {
        Self { number: 0, found: OnceBox::new() }
    }

    /// Returns the text; `None` if there is none, or if the circuit has opened again before the first call.
    pub(crate) fn get(&self) -> Option<&str> {
        if self.number == 0 {
            return None;
        }
        if let Some(found) = self.found.get() {
            return Some(found);
        }
        let text = texts().get(&self.number).cloned()?;
        Some(self.found.get_or_init(|| Box::new(text)))
    }
}

impl Clone for FailureText {
    fn clone(&self) -> Self {
        let found = OnceBox::new();
        if let Some(text) = self.found.get() {
            _ = found.set(Box::new(text.clone()));
        }
        Self { number: self.number, found }
    }
}

/// Compares the openings from which the texts are.
impl PartialEq for FailureText {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for FailureText {}

impl fmt::Debug for FailureText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

impl Drop for FailureText {
    #[inline]
    fn drop(&mut self) {
        /// By value and out of line, as for `OptText`, so that a discarded rejection can stay in registers.
        #[allow(improper_ctypes_definitions, reason = "only Rust code calls this function")]
        #[cold]
        #[inline(never)]
        extern "C" fn drop_by_value(_: OnceBox<Arc<str>>) {}

        if self.found.get().is_some() {
            drop_by_value(mem::take(&mut self.found));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rejection_finds_the_text_of_its_opening() {
        let stored = StoredFailureText::default();
        assert_eq!(stored.get().get(), None);
        drop(stored.replace(Some(&"reset".into())));
        let (first, second) = (stored.get(), stored.get());
        assert_eq!(first.get(), Some("reset"));
        drop(stored.replace(Some(&"refused".into())));
        assert_eq!(first.get(), Some("reset"), "it was looked up before");
        assert_eq!(first.clone().get(), Some("reset"));
        assert_eq!(second.get(), None, "the circuit has opened again");
        assert_eq!(stored.get().get(), Some("refused"));
        drop(stored.replace(None));
        assert_eq!(stored.get().get(), None);
    }

    #[test]
    fn a_replaced_text_can_be_restored() {
        let stored = StoredFailureText::default();
        drop(stored.replace(Some(&"reset".into())));
        let replaced = stored.replace(Some(&"refused".into()));
        let (first, second) = (replaced.0, stored.get());
        assert!(texts().contains_key(&first), "the text is kept");
        stored.restore(replaced);
        assert_eq!(stored.get().get(), Some("reset"));
        assert_eq!(second.get(), None, "the new text is removed");
    }

    #[test]
    fn the_text_of_a_dropped_breaker_is_removed() {
        let stored = StoredFailureText::default();
        drop(stored.replace(Some(&"reset".into())));
        let text = stored.get();
        assert!(texts().contains_key(&text.number));
        drop(stored);
        assert!(!texts().contains_key(&text.number));
    }
}
