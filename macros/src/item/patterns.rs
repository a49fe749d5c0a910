//! The names that a pattern binds.

use proc_macro2::Ident;
use syn::{
    Expr, Pat, PatIdent, Token,
    visit::{self, Visit},
};

/// A name that a pattern binds.
pub(crate) struct Binding {
    pub(crate) name: Ident,
    /// True for `ref name`.
    pub(crate) by_ref: bool,
    pub(crate) mutability: Option<Token![mut]>,
}

/// The names that a pattern binds, in their order. A capitalized name, such as `None`, is included, although it may be a constant.
pub(crate) fn bindings(pattern: &Pat) -> Vec<Binding> {
    let mut bindings = Bindings(Vec::new());
    bindings.visit_pat(pattern);
    bindings.0
}

/// Returns true for `name` and `mut name`.
pub(crate) fn is_plain(pattern: &Pat) -> bool {
    matches!(pattern, Pat::Ident(pattern) if pattern.by_ref.is_none() && pattern.subpat.is_none())
}

struct Bindings(Vec<Binding>);

impl<'ast> Visit<'ast> for Bindings {
    fn visit_pat_ident(&mut self, pattern: &'ast PatIdent) {
        let PatIdent { ident, by_ref, mutability, .. } = pattern;
        self.0.push(Binding { name: ident.clone(), by_ref: by_ref.is_some(), mutability: *mutability });
        visit::visit_pat_ident(self, pattern);
    }

    // A guard may contain closures, whose parameters the pattern does not bind.
    fn visit_expr(&mut self, _: &'ast Expr) {}
}
