//! Every named breaker of the program, before its first call.
//!
//! Each `#[circuit_breaker]` and each [`register!`](crate::register) leaves a [`Declaration`] in a section of the
//! executable (linkme collects them, no code runs at start-up). The first question builds the breakers from them: one
//! for each name.
//!
//! **Invariant:** functions with the same name share one breaker, wherever they are declared.

use std::{collections::BTreeMap, error::Error, fmt, panic::Location};

use once_cell::{race::OnceRef, sync::Lazy};

use crate::{
    BreakerConfig, CircuitBreaker,
    events::{self, Event},
};

/// Where in the program a breaker is declared, and how.
#[derive(Debug)]
pub struct Declaration {
    source: Source,
    location: &'static Location<'static>,
    /// The breaker that goes by this name; found at the first use.
    found: OnceRef<'static, CircuitBreaker>,
}

#[derive(Clone, Copy, Debug)]
enum Source {
    /// By name: with settings, or to share what is declared elsewhere.
    Named { name: &'static str, config: Option<BreakerConfig> },
    /// A static of the user's own.
    Static(&'static CircuitBreaker),
}

/// All declarations of the program.
#[linkme::distributed_slice]
pub static DECLARATIONS: [&'static Declaration];

impl Declaration {
    /// `#[circuit_breaker(name = "...", ...)]`
    #[track_caller]
    #[must_use]
    pub const fn named(name: &'static str, config: Option<BreakerConfig>) -> Self {
        Self { source: Source::Named { name, config }, location: Location::caller(), found: OnceRef::new() }
    }

    /// `#[circuit_breaker(breaker = PATH)]` and `register!(PATH)`
    #[track_caller]
    #[must_use]
    pub const fn of(breaker: &'static CircuitBreaker) -> Self {
        Self { source: Source::Static(breaker), location: Location::caller(), found: OnceRef::new() }
    }

    /// The breaker that is declared here.
    ///
    /// # Panics
    ///
    /// In debug builds, if another place declares the same name with other settings.
    #[inline]
    pub fn breaker(&self) -> &'static CircuitBreaker {
        self.found.get().unwrap_or_else(|| self.find())
    }

    #[cold]
    fn find(&self) -> &'static CircuitBreaker {
        let entry = REGISTRY.get(self.name());
        if cfg!(debug_assertions)
            && let Some(conflict) = entry.and_then(|entry| entry.conflicts.first())
        {
            panic!("{conflict}");
        }
        for conflict in entry.iter().flat_map(|entry| &entry.conflicts) {
            events::tell(|| Event::ConfigConflict { conflict: conflict.clone() });
        }
        // Every declaration is in the slice that the registry was built from; a breaker of its own is what is left if
        // a linker has dropped it all the same.
        let breaker = match (self.source, entry) {
            (Source::Static(own), _) => own,
            (_, Some(entry)) => entry.breaker,
            (Source::Named { name, config }, None) => leak(name, config.unwrap_or_default()),
        };
        // Another thread may have been first; then its answer is everyone's.
        _ = self.found.set(breaker);
        self.found.get().unwrap_or(breaker)
    }

    const fn name(&self) -> &'static str {
        match self.source {
            Source::Named { name, .. } => name,
            Source::Static(breaker) => breaker.name(),
        }
    }

    /// The place, if it has settings, and the static, if it is one.
    fn with_settings(&self) -> Option<(Place, Option<&'static CircuitBreaker>)> {
        let (config, own) = match self.source {
            Source::Named { config, .. } => (config?, None),
            Source::Static(breaker) => (breaker.config(), Some(breaker)),
        };
        Some((Place { location: self.location, config }, own))
    }

    const fn position(&self) -> (&'static str, u32, u32) {
        (self.location.file(), self.location.line(), self.location.column())
    }
}

/// Lists a `static` breaker that no attribute mentions, so that [`breaker`] and [`breakers`] know it.
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
    ($breaker:path) => {
        const _: () = {
            #[$crate::__private::linkme::distributed_slice($crate::__private::DECLARATIONS)]
            #[linkme(crate = $crate::__private::linkme)]
            static DECLARED: &$crate::__private::Declaration = {
                static DECLARATION: $crate::__private::Declaration = $crate::__private::Declaration::of(&$breaker);
                &DECLARATION
            };
        };
    };
}

/// The breaker of that name, also before its first call.
#[must_use]
pub fn breaker(name: &str) -> Option<&'static CircuitBreaker> {
    REGISTRY.get(name).map(|entry| entry.breaker)
}

/// Every named breaker of the program, sorted by name, also before its first call.
///
/// A program that lists its breakers in an admin page or a health check needs no more than this:
///
/// ```
/// for breaker in steadfast::breakers() {
///     println!("{}", breaker.snapshot());
/// }
/// ```
#[must_use]
pub fn breakers() -> Vec<&'static CircuitBreaker> {
    REGISTRY.values().map(|entry| entry.breaker).collect()
}

/// Checks that no two places declare the same name with different settings. Call it when the program starts.
///
/// Without it, the first use of such a breaker panics in a debug build; in a release build the settings of the first
/// place by file and line hold, or those of a `static` where there is one.
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
    let conflicts: Vec<_> = REGISTRY.values().flat_map(|entry| entry.conflicts.iter().cloned()).collect();
    if conflicts.is_empty() { Ok(()) } else { Err(conflicts) }
}

/// Two places declare the same breaker with different settings.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigConflict {
    /// The breaker's name.
    pub name: &'static str,
    /// The place whose settings hold.
    pub first: Place,
    /// The place that disagrees.
    pub second: Place,
}

/// Settings, and where in the program they stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Place {
    /// File, line and column.
    pub location: &'static Location<'static>,
    /// The settings.
    pub config: BreakerConfig,
}

impl fmt::Display for ConfigConflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, first, second } = self;
        if first.config == second.config {
            return write!(
                f,
                "two statics are circuit breaker `{name}`, at {} and at {}; share one, or give each a name of its own",
                first.location, second.location,
            );
        }
        write!(
            f,
            "circuit breaker `{name}` is declared with different settings: `{}` at {}, `{}` at {}; give the settings in \
             one place, and the name alone in the others",
            first.config, first.location, second.config, second.location,
        )
    }
}

impl Error for ConfigConflict {}

#[derive(Debug)]
struct Entry {
    breaker: &'static CircuitBreaker,
    conflicts: Vec<ConfigConflict>,
}

static REGISTRY: Lazy<BTreeMap<&'static str, Entry>> = Lazy::new(|| {
    let mut declarations = DECLARATIONS.to_vec();
    // The linker's order is nobody's choice; the order of file and line is.
    declarations.sort_by_key(|declaration| (declaration.name(), declaration.position()));
    declarations
        .chunk_by(|one, next| one.name() == next.name())
        .filter_map(|same_name| Some((same_name.first()?.name(), build(same_name))))
        .collect()
});

/// The one breaker for all declarations of a name, sorted by place.
fn build(declarations: &[&'static Declaration]) -> Entry {
    let name = declarations.first().map_or("", |declaration| declaration.name());
    let places = || declarations.iter().filter_map(|declaration| declaration.with_settings());

    // A static of the user's own is the breaker, wherever it stands: its settings cannot be others than its own.
    let (breaker, first) = match places().find_map(|(place, own)| Some((own?, place))) {
        Some((own, place)) => (own, Some(place)),
        None => {
            let first = places().next().map(|(place, _)| place);
            (leak(name, first.map(|place| place.config).unwrap_or_default()), first)
        }
    };
    let differs = |(place, own): (Place, Option<&CircuitBreaker>)| {
        let first = first?;
        let same = place.config == first.config && own.is_none_or(|own| std::ptr::eq(own, breaker));
        (!same).then_some(ConfigConflict { name, first, second: place })
    };
    Entry { breaker, conflicts: places().filter_map(differs).collect() }
}

fn leak(name: &'static str, config: BreakerConfig) -> &'static CircuitBreaker {
    Box::leak(Box::new(CircuitBreaker::new(name, config)))
}
