//! Compiles each case and compares what the compiler says with the `.stderr` beside it.
//!
//! `cargo xtask bless` writes the `.stderr` files anew. Read what it wrote: one mistake, one error, at the right token.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;

#[test]
fn ui() {
    let cases = trybuild::TestCases::new();
    for kind in [
        "unknown",
        "duplicate",
        "malformed",
        "range",
        "conflict",
        "order",
        "signature",
        "predicate",
        "arguments",
        "traits",
    ] {
        cases.compile_fail(format!("{kind}/*.rs"));
    }
    cases.pass("pass/*.rs");
    drop(cases); // which runs them
    what_is_recommended_is_tried();
    no_hidden_item_is_named();
}

/// No compile error names anything of `__private`.
fn no_hidden_item_is_named() {
    let folders = fs::read_dir(".").unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    for file in folders.flat_map(|folder| fs::read_dir(folder).unwrap()).map(|entry| entry.unwrap().path()) {
        if file.extension().is_some_and(|extension| extension == "stderr") {
            assert!(!fs::read_to_string(&file).unwrap().contains("__private"), "{}", file.display());
        }
    }
}

/// The variants that the compiler recommends where a `From` is missing: each stands in `pass/recommended.rs`, which shows that they
/// compile and are judged as they should be.
fn what_is_recommended_is_tried() {
    let read = |path: &str| fs::read_to_string(path).unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
    let tried = read("pass/recommended.rs");
    for rejection in ["circuit_open", "circuit_open_async", "rate_limited", "bulkhead_full", "timed_out"] {
        let said = read(&format!("traits/no_from_{rejection}.stderr"));
        let (_, variant) = said.split_once("add a variant `").unwrap();
        let (variant, _) = variant.split_once('`').unwrap();
        assert!(variant.starts_with("#[error(") && tried.contains(&format!(" {variant},")), "{variant}");
    }
}
