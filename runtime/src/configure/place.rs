use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// The place of a setting.
#[derive(Clone, Debug)]
pub(super) enum Place {
    /// The offset in a text.
    Text(Arc<Text>, usize),
    /// A variable, one after the other.
    Variable(String, usize),
}

/// A text, and the file that it comes from.
#[derive(Debug)]
pub(super) struct Text {
    pub(super) text: String,
    path: Option<PathBuf>,
}

impl Text {
    pub(super) fn new(text: &str, path: Option<&Path>) -> Arc<Self> {
        Arc::new(Self { text: text.to_owned(), path: path.map(Into::into) })
    }
}

impl Place {
    /// To tell what comes first.
    pub(super) const fn position(&self) -> usize {
        match self {
            Self::Text(_, position) | Self::Variable(_, position) => *position,
        }
    }

    /// Line and column, both from 1, where columns are characters; or the variable. Only needed for mistakes, since it reads the
    /// text up to there.
    pub(super) fn name(&self) -> String {
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
