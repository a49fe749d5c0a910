//! Variables such as `STEADFAST_BREAKER_PAYMENTS_FAILURE_THRESHOLD=10`.

use std::collections::BTreeMap;

use super::{
    Assignment, Section,
    error::{Mistakes, Place, unknown},
};
use crate::registry::{Configurable, configurables};

const PREFIX: &str = "STEADFAST_BREAKER_";

/// What the variables say, breaker by breaker.
pub(super) fn sections(variables: impl IntoIterator<Item = (String, String)>, mistakes: &mut Mistakes) -> Vec<Section> {
    let breakers = configurables();
    let names: Vec<_> = breakers.iter().map(Configurable::name).collect();
    let mut sections: BTreeMap<&str, Section> = BTreeMap::new();
    for (position, (variable, value)) in variables.into_iter().enumerate() {
        let place = Place { position, name: variable };
        let Some(rest) = place.name.strip_prefix(PREFIX) else { continue };
        match find(rest, &names) {
            Ok((name, option)) => {
                let option = option.to_ascii_lowercase();
                let section = sections.entry(name).or_insert_with(|| Section {
                    name: name.to_owned(),
                    place: place.clone(),
                    assignments: Vec::new(),
                });
                section.assignments.push(Assignment { option, value, place, key: String::new() });
            }
            Err(message) => mistakes.add(&place, "", message),
        }
    }
    sections.into_values().collect()
}

/// The breaker and the option that a variable is for. The longest name wins: `PAY` and `PAY_PAL` may both be breakers.
fn find<'n, 'r>(rest: &'r str, names: &[&'n str]) -> Result<(&'n str, &'r str), String> {
    let matching = |name: &'n str| Some((name, rest.strip_prefix(&shouted(name))?.strip_prefix('_')?));
    let mut found: Vec<_> = names.iter().copied().filter_map(matching).collect();
    found.sort_by_key(|(_, option)| option.len());
    match found.as_slice() {
        [(one, option), (other, same), ..] if option.len() == same.len() => {
            Err(format!("may mean breaker `{one}` or breaker `{other}`: set them by a file"))
        }
        [found, ..] => Ok(*found),
        [] => {
            let shouted: Vec<_> = names.iter().map(|name| shouted(name)).collect();
            let known: Vec<_> = shouted.iter().map(String::as_str).collect();
            Err(format!("names no breaker: {}", unknown("breaker", rest, &known)))
        }
    }
}

fn shouted(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}
