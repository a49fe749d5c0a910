//! Variables such as `STEADFAST_BREAKER_PAYMENTS_FAILURE_THRESHOLD=10` and `STEADFAST_RETRY_CHARGE_MAX_ATTEMPTS=5`.

use std::{cmp::Reverse, collections::BTreeMap};

use super::{
    Assignment, Kind, Section,
    error::{Issues, nearest, shown, unknown},
    place::Place,
};

/// Names of a kind, each with the prefix of its variables.
struct Names {
    kind: Kind,
    prefix: String,
    shouted: Vec<(&'static str, String)>,
}

/// A reading of a variable: a name, and the option of it.
type Reading<'r> = (&'static str, &'r str);

/// The settings in the variables, one name after the other.
pub(super) fn sections(variables: Vec<(String, String)>, mistakes: &mut Issues) -> Vec<Section> {
    let kinds = Kind::ALL.map(Names::of);
    let mut sections: BTreeMap<_, Section> = BTreeMap::new();
    for (position, (variable, value)) in variables.into_iter().enumerate() {
        let Some((rest, names)) =
            kinds.iter().find_map(|names| Some((variable.strip_prefix(names.prefix.as_str())?, names)))
        else {
            continue;
        };
        let place = Place::Variable(variable.clone(), position);
        if mistakes.is_full() {
            break;
        }
        match names.read(rest) {
            Ok((name, option)) => {
                let option = option.to_ascii_lowercase();
                let section = sections.entry((names.kind, name)).or_insert_with(|| Section {
                    kind: names.kind,
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

impl Names {
    fn of(kind: Kind) -> Self {
        let prefix = format!("STEADFAST_{}_", shouted(kind.table()));
        Self { kind, prefix, shouted: kind.names().into_iter().map(|name| (name, shouted(name))).collect() }
    }

    /// The name and the option that the rest of a variable is about.
    ///
    /// Names may contain each other: of `api` and `api_failure`, `API_FAILURE_THRESHOLD` is about `api`, since `threshold` is no
    /// option. Where two readings have an option that there is, it may be either.
    fn read<'r>(&self, rest: &'r str) -> Result<Reading<'r>, String> {
        let reading =
            |(name, shouted): &(&'static str, String)| Some((*name, rest.strip_prefix(shouted)?.strip_prefix('_')?));
        let readings: Vec<Reading<'r>> = self.shouted.iter().filter_map(reading).collect();
        let has_option = |(_, option): &&Reading<'_>| self.kind.options().contains(&&*option.to_ascii_lowercase());
        let table = self.kind.table();
        let mut right = readings.iter().filter(has_option);
        match (right.next(), right.next()) {
            (Some((one, _)), Some((other, _))) => {
                return Err(format!("may mean {table} {} or {table} {}: set them by a file", shown(one), shown(other)));
            }
            (Some(only), None) => return Ok(*only),
            (None, _) => {}
        }
        // An option that does not exist is a mistake, of the name by which it is most like one that does.
        let unlikeness = |(_, option): &&Reading<'_>| {
            let unlike = nearest(&option.to_ascii_lowercase(), self.kind.options()).map_or(usize::MAX, |(by, _)| by);
            (unlike, Reverse(rest.len() - option.len()))
        };
        readings.iter().min_by_key(unlikeness).copied().ok_or_else(|| {
            let known: Vec<_> = self.shouted.iter().map(|(_, shouted)| shouted.as_str()).collect();
            format!("names no {table}: {}", unknown(table, rest, &known))
        })
    }
}

fn shouted(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}
