use std::{error::Error, fmt, io, path::Path};

/// Settings from outside that can't be applied. Nothing was.
///
/// Its `Display` is a line for each mistake.
#[derive(Debug)]
#[non_exhaustive]
pub struct ConfigError {
    mistakes: Vec<Mistake>,
    source: Option<io::Error>,
}

/// Something wrong with a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mistake {
    /// Where it stands: a file with line and column, line and column of a text, or the name of a variable.
    pub place: String,
    /// The setting, such as `breaker.payments.failure_threshold`; empty where that is the place already.
    pub key: String,
    /// What is wrong with it, and what would be right.
    pub message: String,
}

/// Where a setting stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// In the text, to tell what comes first.
    pub(super) position: usize,
    pub(super) name: String,
}

/// The mistakes found so far.
#[derive(Debug, Default)]
pub(super) struct Mistakes(Vec<(usize, Mistake)>);

/// How much of a value is shown.
const SHOWN: usize = 60;

impl ConfigError {
    pub(super) fn unreadable(path: &Path, source: io::Error) -> Self {
        let message = format!("can't be read: {source}");
        let mistake = Mistake { place: path.display().to_string(), key: String::new(), message };
        Self { mistakes: vec![mistake], source: Some(source) }
    }

    /// All mistakes that were found, in the order of the text.
    #[must_use]
    pub fn mistakes(&self) -> &[Mistake] {
        &self.mistakes
    }
}

impl Mistakes {
    pub(super) fn add(&mut self, place: &Place, key: &str, message: impl Into<String>) {
        let mistake = Mistake { place: place.name.clone(), key: key.to_owned(), message: message.into() };
        self.0.push((place.position, mistake));
    }

    pub(super) fn none(self) -> Result<(), ConfigError> {
        let Self(mut mistakes) = self;
        if mistakes.is_empty() {
            return Ok(());
        }
        mistakes.sort_by_key(|(position, _)| *position);
        // Functions that share a name share its mistakes.
        mistakes.dedup();
        let mistakes = mistakes.into_iter().map(|(_, mistake)| mistake).collect();
        Err(ConfigError { mistakes, source: None })
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.mistakes.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            mistake.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, key, message } = self;
        write!(f, "{place}: ")?;
        if !key.is_empty() {
            write!(f, "{key}: ")?;
        }
        f.write_str(message)
    }
}

impl Error for ConfigError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|source| source as _)
    }
}

/// A value as it is shown: not all of what may be a whole document.
pub(super) fn shown(value: &str) -> String {
    match value.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("`{}...`", value.get(..end).unwrap_or_default()),
        None => format!("`{value}`"),
    }
}

/// What is wrong with a name that is not among those there are.
pub(super) fn unknown(what: &str, name: &str, known: &[&str]) -> String {
    let near = known
        .iter()
        .map(|candidate| (strsim::osa_distance(name, candidate), *candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().max(name.len()) / 3)
        .min()
        .map(|(_, candidate)| format!(", did you mean `{candidate}`?"));
    let list = known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    match (near, known.is_empty()) {
        (_, true) => format!("unknown {what} {}; there is none", shown(name)),
        (Some(near), false) => format!("unknown {what}{near} there are {list}"),
        (None, false) => format!("unknown {what}; there are {list}"),
    }
}
