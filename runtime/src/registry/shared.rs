//! What functions share by its name besides circuit breakers: one of each kind for a name, wherever it is declared.

use std::{collections::BTreeMap, fmt::Debug, panic::Location, ptr};

use once_cell::{race::OnceRef, sync::Lazy};

use super::{
    conflict::{ConfigConflict, DeclarationSite, DeclaredConfig},
    disagree,
    registered::Listed,
};
use crate::slices::REGISTERED;

/// A kind of thing that functions share by name.
pub trait Shared: Debug + Sync + Sized + 'static {
    /// Its settings.
    type Config: Copy + Debug + PartialEq;

    /// One with these settings, or with what holds where nobody has given any.
    fn create(name: &'static str, config: Option<Self::Config>) -> Self;

    /// The name it was declared with.
    fn name(&self) -> &'static str;

    /// The settings it was declared with.
    fn declared(&self) -> Option<Self::Config>;

    /// The settings as a conflict shows them, and how many keys there are at most.
    fn show(config: Option<Self::Config>) -> (DeclaredConfig, Option<usize>);

    /// Whether somebody has to give settings.
    const NEEDS_SETTINGS: bool;

    /// Where what is like it is declared, but with a `key` where this has none, or the other way round.
    fn rivals() -> BTreeMap<&'static str, DeclarationSite> {
        BTreeMap::new()
    }

    /// One among those that `register!` has listed.
    fn listed(listed: Listed) -> Option<&'static Self>;

    /// Where they are declared.
    fn declarations() -> &'static [&'static Declared<Self>];

    /// All of the program.
    fn registry() -> &'static Registry<Self>;
}

/// Where in the program something is declared, and how.
#[derive(Debug)]
pub struct Declared<S: Shared> {
    source: Source<S>,
    location: &'static Location<'static>,
    /// What goes by this name; found at the first use.
    found: OnceRef<'static, S>,
}

#[derive(Debug)]
enum Source<S: Shared> {
    /// By name: with settings, or to share what is declared elsewhere.
    Named { name: &'static str, config: Option<S::Config> },
    /// A static of the user's own.
    Static(&'static S),
}

impl<S: Shared> Declared<S> {
    /// `#[bulkhead(name = "...", ...)]`
    #[track_caller]
    #[must_use]
    pub const fn named(name: &'static str, config: Option<S::Config>) -> Self {
        Self { source: Source::Named { name, config }, location: Location::caller(), found: OnceRef::new() }
    }

    /// `#[bulkhead(bulkhead = PATH)]`
    #[track_caller]
    #[must_use]
    pub const fn of(own: &'static S) -> Self {
        Self { source: Source::Static(own), location: Location::caller(), found: OnceRef::new() }
    }

    /// What is declared here.
    ///
    /// # Panics
    ///
    /// In debug builds, if another place declares the same name with other settings.
    #[inline]
    #[track_caller]
    pub fn get(&self) -> &'static S {
        match self.found.get() {
            Some(found) => found,
            None => self.find(),
        }
    }

    #[cold]
    #[track_caller]
    fn find(&self) -> &'static S {
        let entry = S::registry().0.get(self.name());
        for conflict in entry.into_iter().flat_map(|entry| &entry.conflicts) {
            disagree(conflict);
        }
        let found = match (&self.source, entry) {
            (Source::Static(own), _) => own,
            (_, Some(entry)) => entry.it,
            // As for breakers: what is left if a linker has dropped the declaration.
            (Source::Named { name, config }, None) => leak::<S>(name, *config),
        };
        // Another thread may have been first; then its answer is everyone's.
        _ = self.found.set(found);
        self.found.get().unwrap_or(found)
    }

    fn name(&self) -> &'static str {
        match self.source {
            Source::Named { name, .. } => name,
            Source::Static(own) => own.name(),
        }
    }

    /// The settings, if it gives any.
    fn config(&self) -> Option<S::Config> {
        match self.source {
            Source::Named { config, .. } => config,
            Source::Static(own) => own.declared(),
        }
    }

    fn own(&self) -> Option<&'static S> {
        match self.source {
            Source::Named { .. } => None,
            Source::Static(own) => Some(own),
        }
    }

    fn position(&self) -> (&'static str, u32, u32) {
        (self.location.file(), self.location.line(), self.location.column())
    }

    /// This place, with these settings.
    fn place(&self, config: Option<S::Config>) -> DeclarationSite {
        let (config, max_keys) = S::show(config);
        DeclarationSite { location: self.location, config, max_keys, failure_if: None }
    }
}

/// All of one kind, sorted by name.
#[derive(Debug)]
pub struct Registry<S: Shared>(Lazy<BTreeMap<&'static str, Entry<S>>>);

#[derive(Debug)]
struct Entry<S: Shared> {
    it: &'static S,
    conflicts: Vec<ConfigConflict>,
}

impl<S: Shared> Registry<S> {
    pub(crate) const fn new() -> Self {
        Self(Lazy::new(build))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&'static S> {
        self.0.get(name).map(|entry| entry.it)
    }

    pub(crate) fn all(&self) -> Vec<&'static S> {
        self.0.values().map(|entry| entry.it).collect()
    }

    pub(super) fn conflicts(&self) -> impl Iterator<Item = ConfigConflict> {
        self.0.values().flat_map(|entry| entry.conflicts.iter().cloned())
    }
}

fn build<S: Shared>() -> BTreeMap<&'static str, Entry<S>> {
    let rivals = S::rivals();
    by_name(|same_name: &[_]| settle(same_name, |name| rivals.get(name)))
}

/// The places that hold, by name.
#[cfg(feature = "keyed")]
pub(crate) fn places<S: Shared>() -> BTreeMap<&'static str, DeclarationSite> {
    by_name(|same_name: &[&Declared<S>]| holder(same_name).map(|first| first.place(first.config())))
}

/// What goes by each name, from all its declarations, sorted by place.
fn by_name<S: Shared, T>(of: impl Fn(&[&'static Declared<S>]) -> Option<T>) -> BTreeMap<&'static str, T> {
    let listed = REGISTERED.iter().filter_map(|registered| {
        let source = Source::Static(S::listed(registered.listed())?);
        Some(&*Box::leak(Box::new(Declared { source, location: registered.location, found: OnceRef::new() })))
    });
    let mut declarations: Vec<_> = S::declarations().iter().copied().chain(listed).collect();
    // The linker's order is nobody's choice; the order of file and line is.
    declarations.sort_by_key(|declaration| (declaration.name(), declaration.position()));
    let same_names = declarations.chunk_by(|one, next| one.name() == next.name());
    same_names.filter_map(|same_name| Some((same_name.first()?.name(), of(same_name)?))).collect()
}

/// The declaration that holds.
fn holder<S: Shared>(declarations: &[&'static Declared<S>]) -> Option<&'static Declared<S>> {
    // A static of the user's own is it, wherever it stands: its settings cannot be others than its own.
    let own = declarations.iter().find(|declaration| declaration.own().is_some());
    let with_settings = || declarations.iter().find(|declaration| declaration.config().is_some());
    own.or_else(with_settings).or_else(|| declarations.first()).copied()
}

/// What goes by a name, and who disagrees.
fn settle<'a, S: Shared>(
    declarations: &[&'static Declared<S>],
    rival: impl FnOnce(&str) -> Option<&'a DeclarationSite>,
) -> Option<Entry<S>> {
    let first = holder(declarations)?;
    let config = first.config();
    let name = first.name();
    let conflict =
        |other: &Declared<S>| ConfigConflict { name, first: first.place(config), second: other.place(other.config()) };
    let disagrees = |other: &&'static Declared<S>| {
        let is_other = other.own().zip(first.own()).is_some_and(|(one, other)| !ptr::eq(one, other));
        let differs = other.config().is_some() && other.config() != config;
        (differs || is_other).then(|| conflict(other))
    };
    let mut conflicts: Vec<_> = declarations.iter().filter_map(disagrees).collect();
    if let Some(rival) = rival(name) {
        let own = first.place(config);
        let (first, second) = if own.max_keys.is_none() { (own, *rival) } else { (*rival, own) };
        conflicts.push(ConfigConflict { name, first, second });
    } else if config.is_none() && S::NEEDS_SETTINGS {
        conflicts.push(conflict(first));
    }
    let it = first.own().unwrap_or_else(|| leak(name, config));
    Some(Entry { it, conflicts })
}

fn leak<S: Shared>(name: &'static str, config: Option<S::Config>) -> &'static S {
    Box::leak(Box::new(S::create(name, config)))
}
