//! The places of settings in their sources, for messages.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// The place of a setting.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// A text and a byte offset in it.
    Text(Arc<Text>, usize),
    /// The name of an environment variable, and its index among all variables.
    Variable(String, usize),
}

/// A text, with the path of its file if it was read from one.
#[derive(Debug)]
pub(crate) struct Text {
    pub(crate) text: String,
    path: Option<PathBuf>,
}

impl Text {
    pub(crate) fn new(text: &str, path: Option<&Path>) -> Arc<Self> {
        Arc::new(Self { text: text.to_owned(), path: path.map(Into::into) })
    }
}

impl Source {
    /// Returns the sort key of the place within its layer.
    pub(super) const fn position(&self) -> usize {
        match self {
            Self::Text(_, position) | Self::Variable(_, position) => *position,
        }
    }

    /// Returns the place as shown in messages: line and column, both from 1, with columns in characters; or the name of the variable.
    ///
    /// This takes time linear in the offset.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Text(source, position) => {
                let before = source.text.get(..*position).unwrap_or(&source.text);
                let line = before.matches('\n').count() + 1;
                let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
                match &source.path {
                    Some(path) => format!("{}:{line}:{column}", path.display()),
                    None => format!("line {line}, column {column}"),
                }
            }
            Self::Variable(name, _) => name.clone(),
        }
    }
}
