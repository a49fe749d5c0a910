//! The values of the options of `#[retry]`, besides `backoff` and `jitter`.

use syn::{Error, Expr, ExprLit, Lit, Path, Result};

use crate::syntax::values::{Count, single_ident};

/// The value of `nested`.
pub(super) enum Nested {
    Independent,
    Inherit,
}

/// The value of `max_attempts`.
pub(super) enum MaxAttempts {
    Number(Count),
    Unlimited,
}

pub(super) fn max_attempts(value: Expr) -> Result<MaxAttempts> {
    match single_ident(&value) {
        Some(name) if name == "unlimited" => Ok(MaxAttempts::Unlimited),
        _ => Count::parse("max_attempts", "it includes the first call", value).map(MaxAttempts::Number),
    }
}

pub(super) fn budget(value: Expr) -> Result<Path> {
    match value {
        Expr::Path(path) if path.qself.is_none() => Ok(path.path),
        other => Err(Error::new_spanned(
            other,
            "`budget` must be the path of a `static` that functions share: `static BUDGET: RetryBudget = RetryBudget::new();`",
        )),
    }
}

pub(super) fn policy(value: Expr) -> Result<Expr> {
    match value {
        Expr::Lit(_) | Expr::Closure(_) => Err(Error::new_spanned(
            value,
            "`policy` must be a `RetryPolicy`: a `static POLICY: RetryPolicy = RetryPolicy::new();`, or an expression such as `self.retry`",
        )),
        value => Ok(value),
    }
}

pub(super) fn enabled(value: Expr) -> Result<Expr> {
    match value {
        Expr::Lit(ExprLit { lit: Lit::Bool(_), .. }) => Ok(value),
        Expr::Lit(_) | Expr::Closure(_) => Err(Error::new_spanned(
            value,
            "`enabled` must be a `bool`: an expression over the arguments, such as `request.is_idempotent()`",
        )),
        value => Ok(value),
    }
}

pub(super) fn stop_on(value: Expr) -> Result<Expr> {
    match value {
        Expr::Lit(_) | Expr::Closure(_) => Err(Error::new_spanned(
            value,
            "`stop_on` must be a signal, such as a `static SHUTDOWN: StopSignal = StopSignal::new();` or a cancellation token",
        )),
        value => Ok(value),
    }
}

pub(super) fn nested(value: Expr) -> Result<Nested> {
    match single_ident(&value).map(ToString::to_string).as_deref() {
        Some("independent") => Ok(Nested::Independent),
        Some("inherit") => Ok(Nested::Inherit),
        _ => Err(Error::new_spanned(
            value,
            "`nested` must be `independent` (retries inside of another retry as well) or `inherit` (leaves retries to the outer retry)",
        )),
    }
}
