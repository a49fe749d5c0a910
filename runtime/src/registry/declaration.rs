use std::{env, panic::Location};

use once_cell::race::OnceRef;

use super::{Policy, create_static};
use crate::{
    BlindSpot, ConfigConflict, DeclarationSite, DeclaredConfig,
    errors::PolicyConfig,
    events::{self, Event},
};

/// The declaration of a policy by an attribute: a static in the annotated function.
#[derive(Debug)]
pub struct Declared<P: Policy> {
    pub(super) source: Source<P>,
    pub(super) failures: FailureRule,
    pub(super) location: &'static Location<'static>,
    module: &'static str,
    hang: Option<Hang>,
    /// The policy of this name; empty until the first lookup.
    found: OnceRef<'static, P>,
}

#[derive(Debug)]
pub(super) enum Source<P: Policy> {
    /// A name. A declaration without settings uses those of another declaration of the name.
    Named { name: &'static str, config: Option<P::Config>, max_keys: Option<usize> },
    /// A policy in a static of the user.
    Static(&'static P),
}

/// The errors that a declaration counts as failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FailureRule {
    /// No rule, since a static listed by [`register!`](crate::register) has no function.
    Unused,
    /// All errors.
    All,
    /// The errors that `failure_if` selects, with the text of the option.
    Text(&'static str),
}

/// A call that hangs, in an `async` function without a timeout below the policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hang {
    /// No timeout of the function ends the call.
    Endless,
    /// A timeout above the policy cancels the call.
    Cancelled,
}

impl<P: Policy> Declared<P> {
    /// Creates the declaration of `#[bulkhead(name = "...", ...)]`. `config` is `None` if the attribute has no settings.
    #[track_caller]
    #[must_use]
    pub const fn named(name: &'static str, config: Option<P::Config>) -> Self {
        Self::new(Source::Named { name, config, max_keys: None }, FailureRule::All, Location::caller())
    }

    /// Creates the declaration of `#[bulkhead(bulkhead = PATH)]`.
    #[track_caller]
    #[must_use]
    pub const fn of(own: &'static P) -> Self {
        Self::new(Source::Static(own), FailureRule::All, Location::caller())
    }

    /// Sets `max_keys` of a declaration by name.
    ///
    /// # Panics
    ///
    /// If `number` is 0. In a `static` this is a compile error.
    #[must_use]
    pub const fn max_keys(mut self, number: usize) -> Self {
        assert!(number > 0, "`max_keys` must be at least 1: with 0, all keys would share one instance");
        if let Source::Named { max_keys, .. } = &mut self.source {
            *max_keys = Some(number);
        }
        self
    }

    /// Sets the text of `failure_if`, as it is written in the attribute.
    #[must_use]
    pub const fn failure_if(mut self, text: &'static str) -> Self {
        self.failures = FailureRule::Text(text);
        self
    }

    /// Declares that calls of the function can hang.
    #[must_use]
    pub const fn hang(mut self, hang: Hang) -> Self {
        self.hang = Some(hang);
        self
    }

    /// Sets the path of the module that contains the function.
    #[must_use]
    pub const fn module(mut self, path: &'static str) -> Self {
        self.module = path;
        self
    }

    pub(super) const fn new(source: Source<P>, failures: FailureRule, location: &'static Location<'static>) -> Self {
        Self { source, failures, location, module: "", hang: None, found: OnceRef::new() }
    }

    /// Returns the declared policy. The first call looks it up in the registry.
    ///
    /// # Panics
    ///
    /// In debug builds, if another declaration of the name contradicts this one.
    #[inline]
    #[track_caller]
    pub fn get(&self) -> &'static P {
        #[cfg(feature = "testing")]
        if crate::isolation::is_entered() {
            return self.find();
        }
        match self.found.get() {
            Some(found) => found,
            None => self.find_once(),
        }
    }

    #[cold]
    #[track_caller]
    fn find_once(&self) -> &'static P {
        let found = self.find();
        // If another thread has set `found` first, the policy that it has set is used.
        _ = self.found.set(found);
        self.found.get().unwrap_or(found)
    }

    /// Looks the policy up in the registry, and reports its conflicts.
    #[cold]
    #[track_caller]
    fn find(&self) -> &'static P {
        let entry = P::registry().0.get(self.name());
        for conflict in entry.into_iter().flat_map(|entry| &entry.conflicts) {
            report(conflict);
        }
        match (&self.source, entry) {
            (Source::Static(own), _) => own,
            (_, Some(entry)) => entry.policy,
            // The registry contains every declaration, unless a linker has dropped this one.
            (Source::Named { name, .. }, None) => create_static(name, self.config(), self.keys()),
        }
    }

    /// Returns true if the declaration belongs to another doc test than the one that this process runs.
    pub(super) fn is_of_other_doc_test(&self, running: Option<&str>) -> bool {
        is_of_other_doc_test(self.module, running)
    }

    pub(super) fn name(&self) -> &'static str {
        match self.source {
            Source::Named { name, .. } => name,
            Source::Static(own) => own.name(),
        }
    }

    /// Returns the settings of this declaration; `None` if it has none.
    pub(super) fn config(&self) -> Option<P::Config> {
        match self.source {
            // A declaration with `max_keys` alone has the default settings.
            Source::Named { config, max_keys, .. } => config.or(max_keys.and(P::DEFAULT_CONFIG)),
            Source::Static(own) => own.declared(),
        }
    }

    /// Returns the maximum number of keys; `None` for a kind without keys.
    pub(super) fn keys(&self) -> Option<usize> {
        match self.source {
            Source::Named { max_keys, .. } => max_keys.or(P::DEFAULT_MAX_KEYS),
            Source::Static(own) => own.max_keys(),
        }
    }

    /// Returns the static of the user; `None` for a declaration by name.
    pub(super) const fn own(&self) -> Option<&'static P> {
        match self.source {
            Source::Named { .. } => None,
            Source::Static(own) => Some(own),
        }
    }

    /// Returns the blind spot of the policy in force in this function; `None` if it sees calls that hang, or if they cannot hang.
    pub(super) fn blind_spot(&self) -> Option<BlindSpot> {
        let hang = self.hang?;
        let policy = self.own().or_else(|| P::registry().get(self.name()))?;
        let advice = policy.blind_to(hang)?;
        Some(BlindSpot { kind: P::Config::TERMS.kind, name: self.name(), location: self.location, advice })
    }

    /// Returns the file, line and column of the declaration.
    pub(super) fn position(&self) -> (&'static str, u32, u32) {
        (self.location.file(), self.location.line(), self.location.column())
    }

    /// Returns the site of this declaration, with the given settings.
    pub(super) fn site(&self, config: Option<P::Config>, max_keys: Option<usize>) -> DeclarationSite {
        let failure_if = if let FailureRule::Text(text) = self.failures { Some(text) } else { None };
        let config = DeclaredConfig::new(config.or(P::DEFAULT_CONFIG));
        DeclarationSite { location: self.location, config, max_keys, failure_if }
    }
}

/// Returns true if the module of this path belongs to another doc test than the [running](running_doc_test) one.
pub(crate) fn is_of_other_doc_test(module: &str, running: Option<&str>) -> bool {
    let number = module.split("::").find_map(|segment| segment.strip_prefix("__doctest_"));
    matches!((number, running), (Some(number), Some(running)) if number != running)
}

/// Returns the number of the doc test that this process runs; `None` if it runs none.
///
/// rustdoc builds one program of all doc tests of a crate (edition 2024), in which each is a module `__doctest_N`, and runs each in a
/// process of its own, with `N` in an environment variable.
pub(crate) fn running_doc_test() -> Option<String> {
    env::var("RUSTDOC_DOCTEST_RUN_NB_TEST").ok()
}

/// Reports a conflict that [`validate`](crate::validate) would have returned: panics in debug builds and emits an event in release builds.
#[track_caller]
fn report(conflict: &ConfigConflict) {
    #[allow(clippy::manual_assert, reason = "a constant can't be asserted")]
    if cfg!(debug_assertions) {
        panic!("{conflict}");
    }
    events::publish(Event::ConfigConflict { conflict: Box::new(conflict.clone()) });
}
