//! Compiles each case and compares what the compiler says with the `.stderr` beside it.
//!
//! `cargo xtask bless` writes the `.stderr` files anew. Read what it wrote: one mistake, one error, at the right token.

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
}
