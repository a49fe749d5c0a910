//! The table of failures in `docs/errors-and-transient.md`, which the errors of real clients are compared with.

use std::error::Error;

use steadfast::{Transient, had_no_effect};

const PAGE: &str = include_str!("../../docs/errors-and-transient.md");
/// The libraries whose rows are tested in this file's siblings.
const DATABASES: [&str; 3] = ["sqlx", "tokio-postgres", "redis"];
const TESTS: [&str; 4] =
    [include_str!("mysql.rs"), include_str!("postgres.rs"), include_str!("redis.rs"), include_str!("sqlite.rs")];

/// A row of the table.
#[derive(Debug)]
pub(crate) struct Row {
    library: &'static str,
    failure: &'static str,
    is_transient: bool,
    may_have_taken_effect: bool,
}

impl Row {
    fn is_about(&self, library: &str) -> bool {
        self.library.split(", ").any(|other| other == library)
    }
}

fn rows() -> impl Iterator<Item = Row> {
    PAGE.lines().filter_map(|line| {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let &[_, library, failure, decision, reached, _, _] = cells.as_slice() else { return None };
        let is_transient = match decision {
            "transient" => true,
            "permanent" => false,
            _ => return None,
        };
        Some(Row { library, failure, is_transient, may_have_taken_effect: reached == "yes" })
    })
}

/// Asserts that an error is classified as the row of its library and failure says: by itself, inside an `anyhow::Error` and inside a
/// boxed error. Permanent errors are compared without their effect, which is not documented.
#[track_caller]
pub(crate) fn assert_row<E: Error + Transient + Send + Sync + 'static>(library: &str, failure: &str, error: E) {
    let row = rows().find(|row| row.failure == failure && row.is_about(library));
    let row = row.unwrap_or_else(|| panic!("the table has no row `{failure}` of {library}"));
    let has_no_effect = row.is_transient && !row.may_have_taken_effect;

    let check = |error: &dyn Transient, text: String| {
        assert_eq!(error.is_transient(), row.is_transient, "{library}, {failure}: {text}");
        assert_eq!(had_no_effect(error), has_no_effect, "{library}, {failure}: {text}");
        assert_eq!(error.retry_after(), None, "{library}, {failure}: {text}");
        assert!(!error.is_rejection(), "{library}, {failure}: {text}");
    };
    check(&error, format!("{error:?}"));
    let error = anyhow::Error::new(error).context("while calling");
    check(&error, format!("inside an anyhow::Error: {error:?}"));
    let error: Box<dyn Error + Send + Sync> = error.into();
    check(&error, format!("inside a boxed error: {error:?}"));
}

/// Asserts that neither the error nor its sources contain a secret.
#[track_caller]
pub(crate) fn assert_hides(secrets: &[&str], error: &dyn Error) {
    let sources = std::iter::successors(Some(error), |&error| error.source());
    let texts = sources.flat_map(|error| [error.to_string(), format!("{error:?}")]);
    for text in texts {
        assert!(!secrets.iter().any(|secret| text.contains(secret)), "{text}");
    }
}

#[test]
fn each_row_about_a_database_has_a_test() {
    let rows: Vec<_> = rows().filter(|row| DATABASES.iter().any(|library| row.is_about(library))).collect();
    assert!(rows.len() > 20, "{rows:?}");
    for row in rows {
        let is_tested = TESTS.iter().any(|test| test.contains(&format!("\"{}\"", row.failure)));
        assert!(is_tested, "{row:?}");
    }
}
