//! Every named breaker of the program, before its first call.
//!
//! Each `#[circuit_breaker]` and each [`register!`](crate::register) leaves a [`Declaration`] in a section of the
//! executable (linkme collects them, no code runs at start-up). The first question builds the breakers from them: one
//! for each name.
//!
//! **Invariant:** functions with the same name share one breaker, wherever they are declared.

mod conflict;
mod registered;
mod retries;
mod shared;

use std::{collections::BTreeMap, panic::Location, ptr};

use once_cell::{race::OnceRef, sync::Lazy};

#[cfg(feature = "keyed")]
pub(crate) use self::shared::places;
pub use self::{
    conflict::{ConfigConflict, DeclarationSite, DeclaredConfig},
    registered::Registered,
    retries::retries,
    shared::Declared,
};
pub(crate) use self::{
    registered::Listed,
    shared::{Registry, Shared},
};
#[cfg(feature = "config")]
use crate::ConfigChange;
use crate::{
    BreakerConfig, Bulkhead, CircuitBreaker, RateLimit, clock,
    events::{self, Event},
    slices::{DECLARATIONS, REGISTERED},
};
#[cfg(feature = "keyed")]
use crate::{KeyedBreaker, KeyedBreakers, KeyedRateLimits};

/// Where in the program a breaker is declared, and how.
#[derive(Debug)]
pub struct Declaration {
    source: Source,
    judge: Judge,
    location: &'static Location<'static>,
    /// The breaker that goes by this name; found at the first use.
    found: OnceRef<'static, CircuitBreaker>,
    #[cfg(feature = "keyed")]
    found_keyed: OnceRef<'static, KeyedBreakers>,
}

#[derive(Clone, Copy, Debug)]
enum Source {
    /// By name: with settings, or to share what is declared elsewhere.
    Named { name: &'static str, config: Option<BreakerConfig> },
    /// A static of the user's own.
    Static(&'static CircuitBreaker),
    /// A breaker for each key, by name.
    #[cfg(feature = "keyed")]
    NamedKeyed { name: &'static str, config: Option<BreakerConfig>, max_keys: Option<usize> },
    /// A breaker for each key, in a static of the user's own.
    #[cfg(feature = "keyed")]
    StaticKeyed(&'static KeyedBreakers),
}

/// Which errors a place counts as failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Judge {
    /// None: a static that is listed judges no calls.
    Listed,
    /// All.
    All,
    /// Those that `failure_if` says, by its text.
    Some(&'static str),
}

impl Declaration {
    /// `#[circuit_breaker(name = "...", ...)]`
    #[track_caller]
    #[must_use]
    pub const fn named(name: &'static str, config: Option<BreakerConfig>) -> Self {
        Self::new(Source::Named { name, config })
    }

    /// `#[circuit_breaker(breaker = PATH)]`
    #[track_caller]
    #[must_use]
    pub const fn of(breaker: &'static CircuitBreaker) -> Self {
        Self::new(Source::Static(breaker))
    }

    /// `#[circuit_breaker(name = "...", key = ..., ...)]`
    ///
    /// # Panics
    ///
    /// If `max_keys` is 0; in a `static` that does not compile.
    #[cfg(feature = "keyed")]
    #[track_caller]
    #[must_use]
    pub const fn named_keyed(name: &'static str, config: Option<BreakerConfig>, max_keys: Option<usize>) -> Self {
        assert!(!matches!(max_keys, Some(0)), "`max_keys` must be at least 1: with 0 all keys would share one breaker");
        Self::new(Source::NamedKeyed { name, config, max_keys })
    }

    /// `#[circuit_breaker(breaker = PATH, key = ...)]`
    #[cfg(feature = "keyed")]
    #[track_caller]
    #[must_use]
    pub const fn of_keyed(breakers: &'static KeyedBreakers) -> Self {
        Self::new(Source::StaticKeyed(breakers))
    }

    /// `failure_if`, as it is written.
    #[must_use]
    pub const fn failure_if(mut self, text: &'static str) -> Self {
        self.judge = Judge::Some(text);
        self
    }

    #[track_caller]
    const fn new(source: Source) -> Self {
        Self::at(source, Judge::All, Location::caller())
    }

    const fn at(source: Source, judge: Judge, location: &'static Location<'static>) -> Self {
        Self {
            source,
            judge,
            location,
            found: OnceRef::new(),
            #[cfg(feature = "keyed")]
            found_keyed: OnceRef::new(),
        }
    }

    /// The breaker that is declared here.
    ///
    /// # Panics
    ///
    /// In debug builds, if another place declares the same name with other settings.
    #[inline]
    #[track_caller]
    pub fn breaker(&self) -> &'static CircuitBreaker {
        match self.found.get() {
            Some(found) => found,
            None => self.find(),
        }
    }

    /// The breaker of a key that is declared here.
    ///
    /// # Panics
    ///
    /// As [`breaker`](Self::breaker) does.
    #[cfg(feature = "keyed")]
    #[inline]
    #[track_caller]
    pub fn keyed_breaker<K: std::fmt::Display + ?Sized>(&self, key: &K) -> std::sync::Arc<KeyedBreaker> {
        let found = match self.found_keyed.get() {
            Some(found) => found,
            None => self.find_keyed(),
        };
        found.breaker(key)
    }

    #[cold]
    #[track_caller]
    fn find(&self) -> &'static CircuitBreaker {
        let entry = self.entry();
        // Every declaration is in the slice that the registry was built from; a breaker of its own is what is left if
        // a linker has dropped it all the same.
        let breaker = match (self.source, entry.and_then(|entry| entry.breaker)) {
            (Source::Static(own), _) => own,
            (_, Some(breaker)) => breaker,
            (source, None) => leak(source.name(), source.config().unwrap_or_default()),
        };
        // Another thread may have been first; then its answer is everyone's.
        _ = self.found.set(breaker);
        self.found.get().unwrap_or(breaker)
    }

    #[cfg(feature = "keyed")]
    #[cold]
    #[track_caller]
    fn find_keyed(&self) -> &'static KeyedBreakers {
        let entry = self.entry();
        let breakers = match (self.source, entry.and_then(|entry| entry.keyed)) {
            (Source::StaticKeyed(own), _) => own,
            (_, Some(breakers)) => breakers,
            (source, None) => leak_keyed(source.name(), source.config().unwrap_or_default(), source.max_keys()),
        };
        _ = self.found_keyed.set(breakers);
        self.found_keyed.get().unwrap_or(breakers)
    }

    /// What the registry has under this name; a conflict is made known.
    #[track_caller]
    fn entry(&self) -> Option<&'static Entry> {
        let entry = REGISTRY.get(self.source.name())?;
        for conflict in &entry.conflicts {
            disagree(conflict);
        }
        Some(entry)
    }

    fn position(&self) -> (&'static str, u32, u32) {
        (self.location.file(), self.location.line(), self.location.column())
    }

    /// This place, with the settings that it gives, or with those that hold.
    const fn place(&self, config: BreakerConfig, max_keys: Option<usize>) -> DeclarationSite {
        let failure_if = if let Judge::Some(text) = self.judge { Some(text) } else { None };
        DeclarationSite { location: self.location, config: DeclaredConfig::Breaker(config), max_keys, failure_if }
    }
}

impl Source {
    const fn name(&self) -> &'static str {
        match self {
            Self::Named { name, .. } => name,
            Self::Static(breaker) => breaker.name(),
            #[cfg(feature = "keyed")]
            Self::NamedKeyed { name, .. } => name,
            #[cfg(feature = "keyed")]
            Self::StaticKeyed(breakers) => breakers.name(),
        }
    }

    /// The settings, if it gives any.
    fn config(&self) -> Option<BreakerConfig> {
        match self {
            Self::Named { config, .. } => *config,
            Self::Static(breaker) => Some(breaker.declared()),
            #[cfg(feature = "keyed")]
            Self::NamedKeyed { config, max_keys, .. } => config.or(max_keys.map(|_| BreakerConfig::new())),
            #[cfg(feature = "keyed")]
            Self::StaticKeyed(breakers) => Some(breakers.declared().0),
        }
    }

    /// How many keys there are at most, where there are keys.
    const fn max_keys(&self) -> Option<usize> {
        match self {
            Self::Named { .. } | Self::Static(_) => None,
            #[cfg(feature = "keyed")]
            Self::NamedKeyed { max_keys: Some(max_keys), .. } => Some(*max_keys),
            #[cfg(feature = "keyed")]
            Self::NamedKeyed { .. } => Some(KeyedBreakers::DEFAULT_MAX_KEYS),
            #[cfg(feature = "keyed")]
            Self::StaticKeyed(breakers) => Some(breakers.declared().1),
        }
    }

    const fn is_static(&self) -> bool {
        match self {
            Self::Static(_) => true,
            Self::Named { .. } => false,
            #[cfg(feature = "keyed")]
            Self::StaticKeyed(_) => true,
            #[cfg(feature = "keyed")]
            Self::NamedKeyed { .. } => false,
        }
    }

    /// Whether the two are statics, and not the same.
    fn is_other_static(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Static(one), Self::Static(other)) => !ptr::eq(*one, *other),
            #[cfg(feature = "keyed")]
            (Self::StaticKeyed(one), Self::StaticKeyed(other)) => !ptr::eq(*one, *other),
            _ => false,
        }
    }
}

/// Lists a `static` breaker, rate limit or bulkhead that no attribute mentions, so that it is found by its name.
///
/// ```
/// use steadfast::{BreakerConfig, CircuitBreaker};
///
/// static LEDGER: CircuitBreaker = CircuitBreaker::new("ledger", BreakerConfig::new());
/// steadfast::register!(LEDGER);
///
/// assert!(steadfast::breaker("ledger").is_some());
/// ```
#[macro_export]
macro_rules! register {
    ($own:path) => {
        const _: () = {
            #[$crate::__private::linkme::distributed_slice($crate::__private::REGISTERED)]
            #[linkme(crate = $crate::__private::linkme)]
            static REGISTERED: $crate::__private::Registered = $crate::__private::Registered::new(&$own);
        };
    };
}

/// The breaker of that name, also before its first call.
#[must_use]
pub fn breaker(name: &str) -> Option<&'static CircuitBreaker> {
    REGISTRY.get(name)?.breaker
}

/// Every named breaker of the program, sorted by name, also before its first call.
///
/// A program that lists its breakers in an admin page or a health check needs no more than this:
///
/// ```
/// for breaker in steadfast::breakers() {
///     println!("{breaker}"); // payments: closed, 0 failures in a row; ...
/// }
/// ```
#[must_use]
pub fn breakers() -> Vec<&'static CircuitBreaker> {
    REGISTRY.values().filter_map(|entry| entry.breaker).collect()
}

/// The breakers of that name that are declared with a `key`, also before their first call.
///
/// ```
/// # use std::io;
/// use steadfast::circuit_breaker;
///
/// #[circuit_breaker(name = "mirrors", key = host, failure_threshold = 3)]
/// fn fetch(host: &str) -> io::Result<String> {
///     # Ok(host.to_owned())
/// }
///
/// fetch("a.example.org")?;
/// let mirrors = steadfast::keyed_breakers("mirrors").expect("declared above");
/// assert_eq!(mirrors.len(), 1);
/// for breaker in mirrors.iter() {
///     println!("{breaker}"); // mirrors[a.example.org]: closed, 0 failures in a row; ...
/// }
/// # Ok::<(), io::Error>(())
/// ```
#[cfg(feature = "keyed")]
#[must_use]
pub fn keyed_breakers(name: &str) -> Option<&'static KeyedBreakers> {
    REGISTRY.get(name)?.keyed
}

/// All breakers of the program that are declared with a `key`, sorted by name, also before their first call.
#[cfg(feature = "keyed")]
#[must_use]
pub fn all_keyed_breakers() -> Vec<&'static KeyedBreakers> {
    REGISTRY.values().filter_map(|entry| entry.keyed).collect()
}

/// Checks that no two places declare the same name with different settings, or with a different `failure_if`. Call it when the program
/// starts.
///
/// Without it, the first use of such a breaker, rate limit or bulkhead panics in a debug build. In a release build an
/// [event](crate::events::Event::ConfigConflict) says so; the settings of the first place by file and line hold, or those of a `static`
/// where there is one, and each place goes on with its own `failure_if`.
///
/// # Errors
///
/// Each conflict, with both places.
///
/// ```
/// # fn main() -> Result<(), Vec<steadfast::ConfigConflict>> {
/// steadfast::validate()?;
/// # Ok(())
/// # }
/// ```
pub fn validate() -> Result<(), Vec<ConfigConflict>> {
    let breakers = REGISTRY.values().flat_map(|entry| entry.conflicts.iter().cloned());
    let mut conflicts: Vec<_> = breakers.chain(Bulkhead::registry().conflicts()).collect();
    for conflict in rate_limit_conflicts() {
        // One between a limit with a `key` and one without is known to both.
        if !conflicts.contains(&conflict) {
            conflicts.push(conflict);
        }
    }
    if conflicts.is_empty() { Ok(()) } else { Err(conflicts) }
}

fn rate_limit_conflicts() -> impl Iterator<Item = ConfigConflict> {
    let conflicts = RateLimit::registry().conflicts();
    #[cfg(feature = "keyed")]
    let conflicts = conflicts.chain(KeyedRateLimits::registry().conflicts());
    conflicts
}

#[derive(Debug)]
struct Entry {
    breaker: Option<&'static CircuitBreaker>,
    #[cfg(feature = "keyed")]
    keyed: Option<&'static KeyedBreakers>,
    /// The settings that the code declares.
    #[cfg(feature = "config")]
    declared: BreakerConfig,
    conflicts: Vec<ConfigConflict>,
}

/// What settings from outside can change: one breaker, or those of all keys.
#[cfg(feature = "config")]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Configurable {
    name: &'static str,
    entry: &'static Entry,
}

/// Everything that can be configured, sorted by name.
#[cfg(feature = "config")]
pub(crate) fn configurables() -> Vec<Configurable> {
    REGISTRY.iter().map(|(name, entry)| Configurable { name, entry }).collect()
}

#[cfg(feature = "config")]
impl Configurable {
    pub(crate) const fn name(&self) -> &'static str {
        self.name
    }

    /// The settings that the code declares.
    pub(crate) const fn declared(&self) -> BreakerConfig {
        self.entry.declared
    }

    /// Replaces the settings from a file and the environment; [`apply_settings`](Self::apply_settings) has to follow.
    pub(crate) fn set_outside(&self, outside: Option<BreakerConfig>) -> Option<ConfigChange> {
        let change = self.entry.breaker.and_then(|breaker| breaker.set_outside(outside));
        #[cfg(feature = "keyed")]
        let change = self.entry.keyed.and_then(|breakers| breakers.set_outside(outside)).or(change);
        change
    }

    /// Judges what was counted by the settings in force.
    pub(crate) fn apply_settings(&self) {
        if let Some(breaker) = self.entry.breaker {
            breaker.apply_settings();
        }
        #[cfg(feature = "keyed")]
        if let Some(breakers) = self.entry.keyed {
            breakers.apply_settings();
        }
    }
}

static REGISTRY: Lazy<BTreeMap<&'static str, Entry>> = Lazy::new(|| {
    // From here on the time counts that a breaker is closed.
    _ = clock::now();
    let listed = REGISTERED.iter().filter_map(|registered| {
        let source = match registered.listed() {
            Listed::Breaker(own) => Source::Static(own),
            #[cfg(feature = "keyed")]
            Listed::KeyedBreakers(own) => Source::StaticKeyed(own),
            _ => return None,
        };
        Some(&*Box::leak(Box::new(Declaration::at(source, Judge::Listed, registered.location))))
    });
    let mut declarations: Vec<_> = DECLARATIONS.iter().copied().chain(listed).collect();
    // The linker's order is nobody's choice; the order of file and line is.
    declarations.sort_by_key(|declaration| (declaration.source.name(), declaration.position()));
    declarations
        .chunk_by(|one, next| one.source.name() == next.source.name())
        .filter_map(|same_name| Some((same_name.first()?.source.name(), build(same_name))))
        .collect()
});

/// What goes by a name, from all its declarations, sorted by place.
fn build(declarations: &[&'static Declaration]) -> Entry {
    let (keyed, plain): (Vec<_>, Vec<_>) =
        declarations.iter().partition(|declaration| declaration.source.max_keys().is_some());
    let (plain, mut conflicts) = settle(&plain);
    let (keyed, more) = settle(&keyed);
    conflicts.extend(more);
    if let (Some(plain), Some(keyed)) = (plain, keyed) {
        let name = plain.0.source.name();
        let [first, second] = [plain, keyed].map(|(declaration, config, keys)| declaration.place(config, keys));
        conflicts.push(ConfigConflict { name, first, second });
    }
    Entry {
        #[cfg(feature = "config")]
        declared: plain.or(keyed).map(|(_, config, _)| config).unwrap_or_default(),
        breaker: plain.map(|(declaration, config, _)| {
            if let Source::Static(own) = declaration.source { own } else { leak(declaration.source.name(), config) }
        }),
        #[cfg(feature = "keyed")]
        keyed: keyed.map(|(declaration, config, max_keys)| {
            if let Source::StaticKeyed(own) = declaration.source {
                return own;
            }
            leak_keyed(declaration.source.name(), config, max_keys)
        }),
        conflicts,
    }
}

/// The declaration that holds, and its settings.
type Settled = (&'static Declaration, BreakerConfig, Option<usize>);

/// Which of the declarations of one kind holds, and which of the others disagree.
fn settle(declarations: &[&'static Declaration]) -> (Option<Settled>, Vec<ConfigConflict>) {
    // A static of the user's own is the breaker, wherever it stands: its settings cannot be others than its own.
    let own = declarations.iter().find(|declaration| declaration.source.is_static());
    let with_settings = || declarations.iter().find(|declaration| declaration.source.config().is_some());
    let Some(first) = own.or_else(with_settings).or_else(|| declarations.first()) else {
        return (None, Vec::new());
    };
    let (config, max_keys) = (first.source.config().unwrap_or_default(), first.source.max_keys());
    let conflict = |one: &Declaration, other: &Declaration| {
        // A place that gives the name alone has the settings that hold.
        let settings = other.source.config().map(|theirs| (theirs, other.source.max_keys()));
        let (theirs, their_keys) = settings.unwrap_or((config, max_keys));
        ConfigConflict {
            name: first.source.name(),
            first: one.place(config, max_keys),
            second: other.place(theirs, their_keys),
        }
    };
    let disagrees = |other: &&'static Declaration| {
        let theirs = other.source.config()?;
        let differs =
            theirs != config || other.source.max_keys() != max_keys || other.source.is_other_static(&first.source);
        differs.then(|| conflict(first, other))
    };
    // Those by which calls are judged, the place that holds first. Which calls are failures belongs to the name like the settings; but a
    // predicate is about the error type of its function, so that another place cannot take it over.
    let mut judges =
        [*first].into_iter().chain(declarations.iter().copied()).filter(|place| place.judge != Judge::Listed);
    let judge = judges.next();
    let judges_otherwise = |other: &&'static Declaration| {
        let judge = judge.filter(|judge| other.judge != Judge::Listed && other.judge != judge.judge)?;
        Some(conflict(judge, other))
    };
    let conflicts =
        declarations.iter().filter_map(|other| disagrees(other).or_else(|| judges_otherwise(other))).collect();
    (Some((*first, config, max_keys)), conflicts)
}

/// What nobody has validated is found by the first use, which is where it panics.
#[track_caller]
fn disagree(conflict: &ConfigConflict) {
    #[allow(clippy::manual_assert, reason = "a constant can't be asserted")]
    if cfg!(debug_assertions) {
        panic!("{conflict}");
    }
    events::publish(Event::ConfigConflict { conflict: Box::new(conflict.clone()) });
}

fn leak(name: &'static str, config: BreakerConfig) -> &'static CircuitBreaker {
    Box::leak(Box::new(CircuitBreaker::new(name, config)))
}

#[cfg(feature = "keyed")]
fn leak_keyed(name: &'static str, config: BreakerConfig, max_keys: Option<usize>) -> &'static KeyedBreakers {
    let breakers = KeyedBreakers::new(name, config);
    Box::leak(Box::new(match max_keys {
        Some(max_keys) => breakers.max_keys(max_keys),
        None => breakers,
    }))
}
