//! A TOML text.

use std::{ops::Range, path::Path};

use toml::de::{DeTable, DeValue};

use super::{
    Assignment, Kind, Section,
    error::{Mistakes, Place, unknown},
};

/// Where in a text something stands.
struct Places<'a> {
    text: &'a str,
    path: Option<&'a Path>,
}

/// What the text says, one table after the other.
pub(super) fn sections(text: &str, path: Option<&Path>, mistakes: &mut Mistakes) -> Vec<Section> {
    let places = Places { text, path };
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        mistakes.add(&places.of(error.span().unwrap_or_default()), "", error.message());
    }
    let mut sections = Vec::new();
    for (key, value) in document.get_ref() {
        let (place, table) = (places.of(key.span()), key.get_ref().as_ref());
        let Some(kind) = Kind::ALL.into_iter().find(|kind| kind.table() == table) else {
            mistakes.add(&place, table, unknown("table", table, &Kind::ALL.map(Kind::table)));
            continue;
        };
        let DeValue::Table(named) = value.get_ref() else {
            mistakes.add(&place, table, format!("is no table of tables: write `[{table}.payments]`"));
            continue;
        };
        for (name, settings) in named {
            let (place, name) = (places.of(name.span()), name.get_ref().to_string());
            let path = format!("{table}.{name}");
            let DeValue::Table(settings) = settings.get_ref() else {
                mistakes.add(&place, &path, "is no table of settings");
                continue;
            };
            let assignments = assignments(&path, settings, &places, mistakes);
            sections.push(Section { kind, name, place, assignments });
        }
    }
    sections
}

fn assignments(path: &str, settings: &DeTable<'_>, places: &Places<'_>, mistakes: &mut Mistakes) -> Vec<Assignment> {
    let mut assignments = Vec::new();
    for (option, value) in settings {
        let (place, option) = (places.of(option.span()), option.get_ref().to_string());
        let key = format!("{path}.{option}");
        // Text is taken as it is meant, all else as it is written.
        let value = match value.get_ref() {
            DeValue::String(text) => text.to_string(),
            DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) => {
                places.text.get(value.span()).unwrap_or_default().to_owned()
            }
            DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => {
                let message = "has a value that is neither a number nor `true` or `false`, nor a text in quotes";
                mistakes.add(&place, &key, message);
                continue;
            }
        };
        assignments.push(Assignment { option, value, place, key });
    }
    assignments
}

impl Places<'_> {
    /// Line and column, both from 1; columns are characters.
    fn of(&self, span: Range<usize>) -> Place {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        let name = match self.path {
            Some(path) => format!("{}:{line}:{column}", path.display()),
            None => format!("line {line}, column {column}"),
        };
        Place { position: span.start, name }
    }
}
