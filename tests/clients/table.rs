//! The table of failures in `docs/errors-and-transient.md`. The tests produce the failure of each row with the real library.

use std::{collections::BTreeMap, error::Error};

use steadfast::Transient;

use crate::servers::assert_verdict;

const PAGE: &str = include_str!("../../docs/errors-and-transient.md");

/// Returns the failures of a library in the table, and whether they are transient.
fn rows(library: &str) -> BTreeMap<String, bool> {
    let cells = PAGE.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let rows = cells.map(|line| line.split(" | ").collect::<Vec<_>>()).filter(|cells| cells.len() == 5);
    rows.filter(|cells| cells[0].split(", ").any(|name| name == library))
        .map(|cells| {
            let is_transient = match cells[2] {
                "transient" => true,
                "permanent" => false,
                other => panic!("{other}"),
            };
            assert!(matches!(cells[3], "yes" | "no"), "{cells:?}");
            (cells[1].replace('`', ""), is_transient)
        })
        .collect()
}

/// Checks the verdict on each error against the row with the same failure. Each row of `library` must have an error.
#[track_caller]
pub(crate) fn assert_rows<E: Error + Transient + Send + Sync + 'static>(
    library: &str,
    errors: impl IntoIterator<Item = (&'static str, E)>,
) {
    let mut rows = rows(library);
    for (failure, error) in errors {
        let is_transient = rows.remove(failure).unwrap_or_else(|| panic!("{library} has no row: {failure}"));
        let hint = error.retry_after();
        assert_verdict(error, (is_transient, hint), failure);
    }
    assert!(rows.is_empty(), "{library} has rows that no test checks: {rows:?}");
}
