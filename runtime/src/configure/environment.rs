//! Settings in environment variables such as `STEADFAST_BREAKER_PAYMENTS_FAILURE_THRESHOLD=10`.

use std::{cmp::Reverse, collections::BTreeMap};

use super::plan;
use crate::{
    capabilities,
    registry::Capability,
    settings::{Assignment, Issues, Section, Source, nearest, quoted, unknown},
};

/// The names, options and prefix by which the variables of one capability are parsed.
struct VariableParser {
    table: &'static str,
    /// The prefix of the variables: `STEADFAST_BREAKER_`.
    prefix: String,
    options: &'static [&'static str],
    /// The configurable names, each with its form in variables: `payments`, `PAYMENTS`.
    names: Vec<(&'static str, String)>,
}

/// A way to split a variable: the name, and the option in upper case.
type Split<'r> = (&'static str, &'r str);

/// Parses the variables into sections, one for each name.
pub(super) fn sections(variables: Vec<(String, String)>, issues: &mut Issues) -> Vec<Section> {
    let parsers = capabilities::ALL.map(VariableParser::new);
    let mut sections: BTreeMap<_, Section> = BTreeMap::new();
    for (position, (variable, value)) in variables.into_iter().enumerate() {
        let Some((rest, parser)) =
            parsers.iter().find_map(|parser| Some((variable.strip_prefix(parser.prefix.as_str())?, parser)))
        else {
            continue;
        };
        let source = Source::Variable(variable.clone(), position);
        if issues.is_full() {
            break;
        }
        match parser.split(rest) {
            Ok((name, option)) => {
                let option = option.to_ascii_lowercase();
                let section = sections.entry((parser.table, name)).or_insert_with(|| Section {
                    table: parser.table,
                    name: name.to_owned(),
                    source: source.clone(),
                    assignments: Vec::new(),
                });
                section.assignments.push(Assignment { option, value, source, key: String::new() });
            }
            Err(message) => issues.add(&source, "", message),
        }
    }
    sections.into_values().collect()
}

impl VariableParser {
    fn new(capability: &dyn Capability) -> Self {
        let table = capability.terms().table;
        let names = plan::names(capability).into_iter().map(|name| (name, variable_form(name))).collect();
        let prefix = format!("STEADFAST_{}_", variable_form(table));
        Self { table, prefix, options: capability.options(), names }
    }

    /// Splits the part of a variable after the prefix into a name and an option.
    ///
    /// A name can be a prefix of another. For the names `api` and `api_failure`, `API_FAILURE_THRESHOLD` sets `failure_threshold` of
    /// `api`, since `threshold` is not an option. If two splits have a known option, the variable is ambiguous.
    fn split<'r>(&self, rest: &'r str) -> Result<Split<'r>, String> {
        let split_after =
            |(name, form): &(&'static str, String)| Some((*name, rest.strip_prefix(form)?.strip_prefix('_')?));
        let splits: Vec<Split<'r>> = self.names.iter().filter_map(split_after).collect();
        let has_option = |(_, option): &&Split<'_>| self.options.contains(&&*option.to_ascii_lowercase());
        let table = self.table;
        let mut matching = splits.iter().filter(has_option);
        match (matching.next(), matching.next()) {
            (Some((one, _)), Some((other, _))) => {
                let (one, other) = (quoted(one), quoted(other));
                return Err(format!("is ambiguous between {table} {one} and {table} {other}: set both in a file"));
            }
            (Some(only), None) => return Ok(*only),
            (None, _) => {}
        }
        // The option is unknown. The error refers to the name that is followed by the text most similar to an option; among equals, to the
        // longest name.
        let distance = |(_, option): &&Split<'_>| {
            let distance = nearest(&option.to_ascii_lowercase(), self.options).map_or(usize::MAX, |(by, _)| by);
            (distance, Reverse(rest.len() - option.len()))
        };
        splits.iter().min_by_key(distance).copied().ok_or_else(|| {
            let known: Vec<_> = self.names.iter().map(|(_, form)| form.as_str()).collect();
            format!("does not name a {table}: {}", unknown(table, rest, &known))
        })
    }
}

/// Converts a name to its form in variables: in upper case, with `_` for each character that is not an ASCII letter or digit.
fn variable_form(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}
