//! Settings in a TOML text.

use std::{path::Path, sync::Arc};

use toml::de::{DeTable, DeValue};

use crate::{
    capabilities,
    settings::{Assignment, Issues, Section, Source, Text, shortened, unknown},
};

/// Parses the tables of the text into sections, one for each name.
pub(super) fn sections(text: &str, path: Option<&Path>, issues: &mut Issues) -> Vec<Section> {
    let text = Text::new(text, path);
    let (document, errors) = DeTable::parse_recoverable(&text.text);
    let source = |offset| Source::Text(text.clone(), offset);
    for error in errors {
        issues.add(&source(error.span().unwrap_or_default().start), "", error.message());
    }
    let tables = capabilities::ALL.map(|capability| capability.terms().table);
    let mut sections = Vec::new();
    for (key, value) in document.get_ref() {
        let (at, table) = (source(key.span().start), key.get_ref().as_ref());
        let Some(table) = tables.into_iter().find(|known| *known == table) else {
            if issues.is_full() {
                break;
            }
            issues.add(&at, &shortened(table), unknown("table", table, &tables));
            continue;
        };
        let DeValue::Table(names) = value.get_ref() else {
            issues.add(&at, table, format!("must be a table of tables: write `[{table}.payments]`"));
            continue;
        };
        for (name, settings) in names {
            let source = source(name.span().start);
            let mut section = Section { table, name: name.get_ref().to_string(), source, assignments: Vec::new() };
            let DeValue::Table(settings) = settings.get_ref() else {
                issues.add(&section.source, &section.key(), "must be a table of settings");
                continue;
            };
            section.assignments = assignments(&section.key(), settings, &text, issues);
            sections.push(section);
        }
    }
    sections
}

/// Parses the assignments of the table `path`.
fn assignments(path: &str, settings: &DeTable<'_>, text: &Arc<Text>, issues: &mut Issues) -> Vec<Assignment> {
    let mut assignments = Vec::new();
    for (option, value) in settings {
        let (source, option) = (Source::Text(text.clone(), option.span().start), option.get_ref().to_string());
        let key = format!("{path}.{}", shortened(&option));
        // A string is represented by its value, a number or boolean by its source text.
        let value = match value.get_ref() {
            DeValue::String(value) => value.to_string(),
            DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) => {
                text.text.get(value.span()).unwrap_or_default().to_owned()
            }
            DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => {
                issues.add(&source, &key, "must be a number, `true`, `false`, or a quoted string");
                continue;
            }
        };
        assignments.push(Assignment { option, value, source, key });
    }
    assignments
}
