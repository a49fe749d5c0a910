//! Which of the breakers or rate limits of a name it is.

use std::{
    fmt::{self, Display},
    sync::Arc,
};

use once_cell::sync::Lazy;

use crate::escape::escaped;

/// A key; or the mark of what all keys share that have nothing of their own, which is no text, so that no key is taken for it.
#[derive(Clone)]
pub(crate) struct Key(Arc<str>);

/// The mark. Its address tells it from a key with the same text.
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

    /// The key's text; none for the overflow.
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

/// The public form of a key: its text, and a flag for the overflow.
pub(crate) fn parts(key: Option<&Key>) -> (Option<Arc<str>>, bool) {
    (key.and_then(Key::text).cloned(), key.is_some_and(Key::is_overflow))
}

/// Follows a name in a sentence: `` for `example.org` ``, or `for all other keys`.
pub(crate) fn whose(key: Option<&str>, overflow: bool) -> impl Display {
    fmt::from_fn(move |f| match key {
        Some(key) => write!(f, " for `{}`", escaped(key)),
        None if overflow => f.write_str(" for all other keys"),
        None => Ok(()),
    })
}

/// Follows a name at the head of a line: `[example.org]`, or `, all other keys`.
pub(crate) fn suffix(key: Option<&str>, overflow: bool) -> impl Display {
    fmt::from_fn(move |f| match key {
        Some(key) => write!(f, "[{}]", escaped(key)),
        None if overflow => f.write_str(", all other keys"),
        None => Ok(()),
    })
}

#[cfg(all(test, feature = "keyed"))]
mod tests {
    use super::*;

    #[test]
    fn no_text_is_taken_for_the_overflow() {
        let overflow = Key::overflow();
        assert_eq!(overflow, Key::overflow());
        for text in ["", "(overflow)", "overflow", &OVERFLOW] {
            let key = Key::of(text);
            assert!(key != overflow && !key.is_overflow() && key.text().is_some());
            let (shown, marked) = ((key.text().map(AsRef::as_ref), false), (None, true));
            assert_ne!(whose(shown.0, shown.1).to_string(), whose(marked.0, marked.1).to_string());
            assert_ne!(suffix(shown.0, shown.1).to_string(), suffix(marked.0, marked.1).to_string());
        }
    }
}
