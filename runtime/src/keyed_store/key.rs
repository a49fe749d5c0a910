//! The key of a breaker, rate limit or bulkhead, and its form in messages.

use std::{
    fmt::{self, Display},
    sync::Arc,
};

use once_cell::sync::Lazy;

use crate::escape::escaped;

/// The text of a key, or the marker of the overflow instance, which differs from every text.
#[derive(Clone)]
pub(crate) struct Key(Arc<str>);

/// The marker of the overflow instance. Its address distinguishes it from a key with the same text.
static OVERFLOW: Lazy<Arc<str>> = Lazy::new(|| Arc::from("all other keys"));

impl Key {
    #[cfg(feature = "keyed")]
    pub(crate) fn of(text: &str) -> Self {
        Self(text.into())
    }

    #[cfg(feature = "keyed")]
    pub(crate) fn overflow() -> Self {
        Self(OVERFLOW.clone())
    }

    /// Returns the text of the key; `None` for the overflow instance.
    pub(crate) fn text(&self) -> Option<&Arc<str>> {
        if self.is_overflow() { None } else { Some(&self.0) }
    }

    pub(crate) fn is_overflow(&self) -> bool {
        Arc::ptr_eq(&self.0, &OVERFLOW)
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl Eq for Key {}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.text() {
            Some(text) => fmt::Debug::fmt(text, f),
            None => f.write_str("overflow"),
        }
    }
}

/// Returns the public form of a key: its text, and true if it is the marker of the overflow instance.
pub(crate) fn parts(key: Option<&Key>) -> (Option<Arc<str>>, bool) {
    (key.and_then(Key::text).cloned(), key.is_some_and(Key::is_overflow))
}

/// Displays a key as it follows a name in a sentence: `` for `example.org` ``, or `for all other keys`.
pub(crate) fn in_sentence(key: Option<&str>, overflow: bool) -> impl Display {
    fmt::from_fn(move |f| match key {
        Some(key) => write!(f, " for `{}`", escaped(key)),
        None if overflow => f.write_str(" for all other keys"),
        None => Ok(()),
    })
}

/// Displays a key as it follows a name at the start of a line: `[example.org]`, or `, all other keys`.
pub(crate) fn suffix(key: Option<&str>, overflow: bool) -> impl Display {
    fmt::from_fn(move |f| match key {
        Some(key) => write!(f, "[{}]", escaped(key)),
        None if overflow => f.write_str(", all other keys"),
        None => Ok(()),
    })
}

/// Serializes the text of a key; `None` if there is none.
#[cfg(feature = "serde")]
#[allow(clippy::ref_option, reason = "the signature that serde requires")]
pub(crate) fn serialize_text<S: serde::Serializer>(text: &Option<Arc<str>>, serializer: S) -> Result<S::Ok, S::Error> {
    match text {
        Some(text) => serializer.serialize_str(text),
        None => serializer.serialize_none(),
    }
}

#[cfg(all(test, feature = "keyed"))]
mod tests {
    use super::*;

    #[test]
    fn no_text_equals_the_overflow_marker() {
        let overflow = Key::overflow();
        assert_eq!(overflow, Key::overflow());
        for text in ["", "(overflow)", "overflow", &OVERFLOW] {
            let key = Key::of(text);
            assert!(key != overflow && !key.is_overflow() && key.text().is_some());
            let (shown, marked) = ((key.text().map(AsRef::as_ref), false), (None, true));
            assert_ne!(in_sentence(shown.0, shown.1).to_string(), in_sentence(marked.0, marked.1).to_string());
            assert_ne!(suffix(shown.0, shown.1).to_string(), suffix(marked.0, marked.1).to_string());
        }
    }
}
