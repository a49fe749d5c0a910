//! The table of failures in `docs/errors-and-transient.md`. The tests produce the failure of each row with the real library.

use std::{collections::BTreeMap, error::Error, time::Duration};

use steadfast::{Transient, had_no_effect};

const PAGE: &str = include_str!("../../docs/errors-and-transient.md");

/// Returns the failures of a library in the table: true for each that is transient, and true for each that may have had an effect.
pub(crate) fn rows(library: &str) -> BTreeMap<String, (bool, bool)> {
    let cells = PAGE.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let rows = cells.map(|line| line.split(" | ").collect::<Vec<_>>()).filter(|cells| cells.len() == 5);
    rows.filter(|cells| cells[0].split(", ").any(|name| name == library))
        .map(|cells| {
            let is_transient = match cells[2] {
                "transient" => true,
                "permanent" => false,
                other => panic!("{other}"),
            };
            let may_have_effect = match cells[3] {
                "yes" => true,
                "no" | "yes, without effect" => false,
                other => panic!("{other}"),
            };
            (cells[1].replace('`', ""), (is_transient, may_have_effect))
        })
        .collect()
}

/// The values of `is_transient` and `retry_after`.
pub(crate) type Verdict = (bool, Option<Duration>);

pub(crate) const TRANSIENT: Verdict = (true, None);
pub(crate) const PERMANENT: Verdict = (false, None);

/// Checks the verdict on an error by itself, inside an `anyhow::Error` and inside a boxed error.
#[track_caller]
pub(crate) fn assert_verdict<E: Error + Transient + Send + Sync + 'static>(error: E, expected: Verdict, name: &str) {
    let verdict = |error: &dyn Transient| (error.is_transient(), error.retry_after());

    assert_eq!(verdict(&error), expected, "{name}: {error:?}");
    let error = anyhow::Error::new(error).context("while calling");
    assert_eq!(verdict(&error), expected, "{name}, inside an anyhow::Error: {error:?}");
    let error: Box<dyn Error + Send + Sync> = error.into();
    assert_eq!(verdict(&error), expected, "{name}, inside a boxed error: {error:?}");
}

/// Checks the verdict on each error against the row with the same failure. Each row of `library` must have an error.
#[track_caller]
pub(crate) fn assert_rows<E: Error + Transient + Send + Sync + 'static>(
    library: &str,
    errors: impl IntoIterator<Item = (&'static str, E)>,
) {
    let mut rows = rows(library);
    for (failure, error) in errors {
        let row = rows.remove(failure).unwrap_or_else(|| panic!("{library} has no row: {failure}"));
        let (is_transient, may_have_effect) = row;
        assert_eq!(had_no_effect(&error), is_transient && !may_have_effect, "{library}, {failure}: {error:?}");
        let hint = error.retry_after();
        assert_verdict(error, (is_transient, hint), failure);
    }
    assert!(rows.is_empty(), "{library} has rows that no test checks: {rows:?}");
}
