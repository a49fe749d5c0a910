//! The resolution of all declarations of a name to one policy.
//!
//! If one of the declarations is a static of the user, that static is the policy. Otherwise the policy has the settings of the first
//! declaration with settings, by file and line, an order that does not depend on the linker. Each declaration that contradicts the
//! settings in force is a conflict.

use std::{collections::BTreeMap, ptr};

use super::{
    Entry, Policy, create_static,
    declaration::{Declared, FailureRule, Source, running_doc_test},
    registered::REGISTERED,
};
use crate::{ConfigConflict, DeclarationSite, clock};

/// Resolves the declarations of each name.
pub(super) fn entries<P: Policy>() -> BTreeMap<&'static str, Entry<P>> {
    // The first reading of the clock: breakers measure the time in their initial state from that moment.
    _ = clock::now();
    let counterparts = P::counterparts();
    by_name(|declarations: &[_]| resolve(declarations, |name| counterparts.get(name)))
}

/// Returns the site of the declaration in force of each name.
#[cfg(feature = "keyed")]
pub(crate) fn sites<P: Policy>() -> BTreeMap<&'static str, DeclarationSite> {
    by_name(|declarations: &[&Declared<P>]| {
        in_force(declarations).map(|first| first.site(first.config(), first.keys()))
    })
}

/// Calls `resolve` with the declarations of each name, sorted by file and line.
fn by_name<P: Policy, T>(resolve: impl Fn(&[&'static Declared<P>]) -> Option<T>) -> BTreeMap<&'static str, T> {
    let registered = REGISTERED.iter().filter_map(|registered| {
        let source = Source::Static(registered.downcast::<P>()?);
        let declared = Declared::new(source, FailureRule::Unused, registered.location).module(registered.module);
        Some(&*Box::leak(Box::new(declared)))
    });
    let doc_test = running_doc_test();
    let mut declarations: Vec<_> = P::declarations().iter().copied().chain(registered).collect();
    declarations.retain(|declaration| !declaration.is_of_other_doc_test(doc_test.as_deref()));
    declarations.sort_by_key(|declaration| (declaration.name(), declaration.position()));
    let same_names = declarations.chunk_by(|one, next| one.name() == next.name());
    same_names.filter_map(|same_name| Some((same_name.first()?.name(), resolve(same_name)?))).collect()
}

/// Returns the declaration whose settings are in force: a static of the user, otherwise the first with settings, otherwise the first.
fn in_force<P: Policy>(declarations: &[&'static Declared<P>]) -> Option<&'static Declared<P>> {
    let own = declarations.iter().find(|declaration| declaration.own().is_some());
    let with_settings = || declarations.iter().find(|declaration| declaration.config().is_some());
    own.or_else(with_settings).or_else(|| declarations.first()).copied()
}

/// Resolves the declarations of one name to a policy, and collects their conflicts.
fn resolve<'a, P: Policy>(
    declarations: &[&'static Declared<P>],
    counterpart: impl FnOnce(&str) -> Option<&'a DeclarationSite>,
) -> Option<Entry<P>> {
    let first = in_force(declarations)?;
    let (name, config, max_keys) = (first.name(), first.config(), first.keys());
    let conflict = |one: &Declared<P>, other: &Declared<P>| {
        // A declaration without settings uses the settings in force.
        let settings = other.config().map_or((config, max_keys), |settings| (Some(settings), other.keys()));
        ConfigConflict { name, first: one.site(config, max_keys), second: other.site(settings.0, settings.1) }
    };
    let settings_conflict = |other: &&'static Declared<P>| {
        let is_other_static = other.own().zip(first.own()).is_some_and(|(one, other)| !ptr::eq(one, other));
        let has_other_settings = other.config().is_some() && (other.config() != config || other.keys() != max_keys);
        (has_other_settings || is_other_static).then(|| conflict(first, other))
    };
    // All declarations of a name must have the same rule for failures. A declaration without `failure_if` does not inherit it from another,
    // because a predicate depends on the error type of its function.
    let mut with_rule = [first].into_iter().chain(declarations.iter().copied());
    let rule = with_rule.find(|declaration| declaration.failures != FailureRule::Unused);
    let failure_rule_conflict = |other: &&'static Declared<P>| {
        let first = rule.filter(|rule| other.failures != FailureRule::Unused && other.failures != rule.failures)?;
        Some(conflict(first, other))
    };
    let mut conflicts: Vec<_> = declarations
        .iter()
        .filter_map(|other| settings_conflict(other).or_else(|| failure_rule_conflict(other)))
        .collect();
    if let Some(counterpart) = counterpart(name) {
        let own = first.site(config, max_keys);
        let (first, second) =
            if own.max_keys.is_none() { (own, counterpart.clone()) } else { (counterpart.clone(), own) };
        conflicts.push(ConfigConflict { name, first, second });
    } else if config.or(P::DEFAULT_CONFIG).is_none() {
        conflicts.push(conflict(first, first));
    }
    let policy = first.own().unwrap_or_else(|| create_static(name, config, max_keys));
    Some(Entry { policy, conflicts })
}
