//! Checks of closures in options: their parameters, which the message names.

use syn::{Error, Expr, ExprClosure, ExprMacro, Result, spanned::Spanned};

/// The parameters of the hook `on_retry`. A fourth one is the time since the first attempt.
const HOOK: [&str; 3] = ["attempt", "delay", "error"];

/// Returns an error for an `async` closure.
pub(super) fn not_async(name: &str, closure: &ExprClosure) -> Result<()> {
    match &closure.asyncness {
        Some(asyncness) => Err(Error::new_spanned(
            asyncness,
            format!("`{name}` cannot be `async`: it is called between two attempts, and its result is needed at once"),
        )),
        None => Ok(()),
    }
}

/// The error for the number of parameters. `subjects` are described by `description`: `the error`.
pub(super) fn wrong_parameters(name: &str, closure: &ExprClosure, description: &str, subjects: &[&str]) -> Error {
    let message = format!("`{name}` takes {description}: `|{}| ...`", subjects.join(", "));
    if closure.inputs.is_empty() {
        Error::new(closure.inputs_begin.span(), message)
    } else {
        Error::new_spanned(&closure.inputs, message)
    }
}

/// Returns the value of `on_retry` unless it cannot be a hook.
pub(crate) fn hook(value: Expr) -> Result<Expr> {
    const OUTPUT: [&str; 11] =
        ["print", "println", "eprint", "eprintln", "dbg", "trace", "debug", "info", "warn", "error", "event"];
    match &value {
        Expr::Closure(closure) => {
            not_async("on_retry", closure)?;
            if !matches!(closure.inputs.len(), 3 | 4) {
                let description = "the number of the failed attempt, the delay and the error";
                return Err(wrong_parameters("on_retry", closure, description, &HOOK));
            }
            Ok(value)
        }
        Expr::Macro(ExprMacro { mac, .. })
            if mac.path.segments.last().is_some_and(|last| OUTPUT.iter().any(|name| last.ident == name)) =>
        {
            let message = format!(
                "`on_retry` must be a function: write `on_retry = |{}| {}!(...)`",
                HOOK.join(", "),
                quote::ToTokens::to_token_stream(&mac.path).to_string().replace(' ', "")
            );
            Err(Error::new_spanned(&value, message))
        }
        Expr::Lit(_) => Err(Error::new_spanned(
            value,
            "`on_retry` must be a function of the number of the failed attempt, the delay and the error: `fn(u32, Duration, &Error)`",
        )),
        _ => Ok(value),
    }
}
