//! Variants that are written in the place of a predicate or a type, and the predicates that match them.

use proc_macro2::TokenStream;
use syn::{Expr, ExprCall, ExprPath, ExprStruct, Path, parse2};

use super::text::one_line;

/// Returns true for a path that is probably a variant: its last two segments begin with a capital letter. An associated type such as
/// `Self::Error` or `C::Error` is not one, and neither is a constant.
pub(super) fn is_variant(path: &Path) -> bool {
    let mut names = path.segments.iter().rev().map(|segment| segment.ident.to_string());
    let (Some(variant), Some(of)) = (names.next(), names.next()) else { return false };
    is_camel_case(&variant) && is_camel_case(&of) && of.len() > 1 && of != "Self" && variant != "Error"
}

/// Returns true for a variant with fields: `Kind::Status(_)` or `Kind::Status { .. }`.
pub(super) fn is_pattern(value: &Expr) -> bool {
    match value {
        Expr::Call(ExprCall { func, .. }) => {
            matches!(&**func, Expr::Path(ExprPath { qself: None, path, .. }) if is_variant(path))
        }
        Expr::Struct(ExprStruct { qself: None, path, rest: None, .. }) => is_variant(path),
        _ => false,
    }
}

/// Returns true for `Timeout`, and false for `TIMEOUT` and `timeout`.
pub(super) fn is_camel_case(name: &str) -> bool {
    let has_lower_case = name.contains(char::is_lowercase);
    name.starts_with(char::is_uppercase) && (has_lower_case || name.len() == 1)
}

/// A predicate over the error that matches variants: `|error| matches!(error, A { .. } | B { .. })`, which is correct for variants of any form.
pub(super) fn matches(variants: impl IntoIterator<Item = TokenStream>) -> String {
    let patterns: Vec<_> = variants
        .into_iter()
        .map(|variant| match parse2::<Expr>(variant.clone()) {
            Ok(Expr::Path(_)) => format!("{} {{ .. }}", one_line(&variant)),
            // `Err(pattern)` is the pattern of a `Result`; the predicate is called with the error.
            Ok(Expr::Call(ExprCall { func, args, .. })) if one_line(&func) == "Err" && args.len() == 1 => {
                format!("{} {{ .. }}", one_line(&args))
            }
            _ => one_line(&variant),
        })
        .collect();
    format!("|error| matches!(error, {})", patterns.join(" | "))
}
