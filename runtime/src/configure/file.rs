//! A TOML text.

use std::{path::Path, sync::Arc};

use toml::de::{DeTable, DeValue};

use super::{
    Assignment, Kind, Section,
    error::{Issues, named, unknown},
    place::{Place, Text},
};

/// The tables of the text, one after the other.
pub(super) fn sections(text: &str, path: Option<&Path>, mistakes: &mut Issues) -> Vec<Section> {
    let source = Text::new(text, path);
    let (document, errors) = DeTable::parse_recoverable(text);
    let place = |offset| Place::Text(source.clone(), offset);
    for error in errors {
        mistakes.add(&place(error.span().unwrap_or_default().start), "", error.message());
    }
    let mut sections = Vec::new();
    for (key, value) in document.get_ref() {
        let (at, table) = (place(key.span().start), key.get_ref().as_ref());
        let Some(kind) = Kind::ALL.into_iter().find(|kind| kind.table() == table) else {
            if mistakes.is_full() {
                break;
            }
            mistakes.add(&at, &named(table), unknown("table", table, &Kind::ALL.map(Kind::table)));
            continue;
        };
        let DeValue::Table(things) = value.get_ref() else {
            mistakes.add(&at, table, format!("is no table of tables: write `[{table}.payments]`"));
            continue;
        };
        for (name, settings) in things {
            let (at, name) = (place(name.span().start), name.get_ref().to_string());
            let path = format!("{table}.{}", named(&name));
            let DeValue::Table(settings) = settings.get_ref() else {
                mistakes.add(&at, &path, "is no table of settings");
                continue;
            };
            let assignments = assignments(&path, settings, &source, mistakes);
            sections.push(Section { kind, name, place: at, assignments });
        }
    }
    sections
}

fn assignments(path: &str, settings: &DeTable<'_>, source: &Arc<Text>, mistakes: &mut Issues) -> Vec<Assignment> {
    let mut assignments = Vec::new();
    for (option, value) in settings {
        let (at, option) = (Place::Text(source.clone(), option.span().start), option.get_ref().to_string());
        let key = format!("{path}.{}", named(&option));
        // Text is taken as it is meant, all else as it is written.
        let value = match value.get_ref() {
            DeValue::String(text) => text.to_string(),
            DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) => {
                source.text.get(value.span()).unwrap_or_default().to_owned()
            }
            DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => {
                let message = "has a value that is neither a number nor `true` or `false`, nor a text in quotes";
                mistakes.add(&at, &key, message);
                continue;
            }
        };
        assignments.push(Assignment { option, value, place: at, key });
    }
    assignments
}
