//! Retries inside attempts of other retries.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

use crate::{
    events::{self, Event},
    stack::RetryName,
};

/// The behaviour of a retry inside an attempt of another retry.
///
/// Nested retries multiply: three attempts that make three attempts each are nine calls. [`Event::NestedRetries`] reports nested retries.
/// Only the author of the code can decide which of the two should retry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Nested {
    /// Makes its own attempts as usual. The default.
    #[default]
    Independent,
    /// Makes one attempt, since the enclosing retry makes the further ones. Without an enclosing retry, makes its own attempts as usual.
    Inherit,
}

/// Emits [`Event::NestedRetries`], once for each pair of names, before a retry inside an attempt that is itself a retry.
pub(super) fn emit_nested_retries(RetryName(outer): RetryName, inner: Option<&'static str>) {
    static EMITTED: Mutex<BTreeSet<(Option<&str>, Option<&str>)>> = Mutex::new(BTreeSet::new());
    if events::has_subscribers() && EMITTED.lock().unwrap_or_else(PoisonError::into_inner).insert((outer, inner)) {
        events::publish(Event::NestedRetries { outer, inner });
    }
}
