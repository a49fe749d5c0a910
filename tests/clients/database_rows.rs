//! Checks of the errors of databases against the rows of the table, one by one.

use std::error::Error;

use steadfast::{Transient, had_no_effect};

use super::table::rows;

const DATABASES: [&str; 3] = ["sqlx", "tokio-postgres", "redis"];
const TESTS: [&str; 4] =
    [include_str!("mysql.rs"), include_str!("postgres.rs"), include_str!("redis.rs"), include_str!("sqlite.rs")];

/// Asserts that an error is classified as the row of its library and failure says: by itself, inside an `anyhow::Error` and inside a
/// boxed error. Permanent errors are compared without their effect, which is not documented.
#[track_caller]
pub(crate) fn assert_row<E: Error + Transient + Send + Sync + 'static>(library: &str, failure: &str, error: E) {
    let row = rows(library).remove(&failure.replace('`', ""));
    let (is_transient, may_have_effect) = row.unwrap_or_else(|| panic!("{library} has no row: {failure}"));

    let check = |error: &dyn Transient, text: String| {
        assert_eq!(error.is_transient(), is_transient, "{library}, {failure}: {text}");
        assert_eq!(had_no_effect(error), is_transient && !may_have_effect, "effect, {library}, {failure}: {text}");
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
    let tests = TESTS.map(|test| test.replace('`', ""));
    for failure in DATABASES.iter().flat_map(|library| rows(library).into_keys()) {
        assert!(tests.iter().any(|test| test.contains(&format!("\"{failure}\""))), "{failure}");
    }
}
