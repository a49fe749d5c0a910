//! Variables such as `STEADFAST_BREAKER_PAYMENTS_FAILURE_THRESHOLD=10` and `STEADFAST_RETRY_CHARGE_MAX_ATTEMPTS=5`.

use std::collections::BTreeMap;

use super::{
    Assignment, Kind, Section,
    error::{Mistakes, Place, unknown},
};

/// What the variables say, one name after the other.
pub(super) fn sections(variables: impl IntoIterator<Item = (String, String)>, mistakes: &mut Mistakes) -> Vec<Section> {
    let kinds = Kind::ALL.map(|kind| (format!("STEADFAST_{}_", shouted(kind.table())), kind, kind.names()));
    let mut sections: BTreeMap<_, Section> = BTreeMap::new();
    for (position, (variable, value)) in variables.into_iter().enumerate() {
        let place = Place { position, name: variable };
        let of_kind = kinds.iter().find_map(|(prefix, kind, names)| {
            let rest = place.name.strip_prefix(prefix.as_str())?;
            Some((rest, *kind, names))
        });
        let Some((rest, kind, names)) = of_kind else { continue };
        match find(rest, kind, names) {
            Ok((name, option)) => {
                let option = option.to_ascii_lowercase();
                let section = sections.entry((kind, name)).or_insert_with(|| Section {
                    kind,
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

/// The name and the option that a variable is for. The longest name wins: `PAY` and `PAY_PAL` may both be breakers.
fn find<'n, 'r>(rest: &'r str, kind: Kind, names: &[&'n str]) -> Result<(&'n str, &'r str), String> {
    let matching = |name: &'n str| Some((name, rest.strip_prefix(&shouted(name))?.strip_prefix('_')?));
    let mut found: Vec<_> = names.iter().copied().filter_map(matching).collect();
    found.sort_by_key(|(_, option)| option.len());
    match found.as_slice() {
        [(one, option), (other, same), ..] if option.len() == same.len() => {
            let what = kind.table();
            Err(format!("may mean {what} `{one}` or {what} `{other}`: set them by a file"))
        }
        [found, ..] => Ok(*found),
        [] => {
            let shouted: Vec<_> = names.iter().map(|name| shouted(name)).collect();
            let known: Vec<_> = shouted.iter().map(String::as_str).collect();
            Err(format!("names no {0}: {1}", kind.table(), unknown(kind.table(), rest, &known)))
        }
    }
}

fn shouted(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}
