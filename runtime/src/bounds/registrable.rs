use crate::{RetryPolicy, registry::Policy};

/// A type whose statics [`register!`](crate::register) lists: a circuit breaker, a rate limit, a bulkhead or a retry policy.
#[diagnostic::on_unimplemented(
    message = "a `{Self}` cannot be registered",
    label = "not a circuit breaker, rate limit, bulkhead or retry policy"
)]
pub trait Registrable {
    /// Compiles only if the type can be registered.
    fn check(_: &Self) {}
}

#[diagnostic::do_not_recommend]
impl<P: Policy> Registrable for P {}

impl Registrable for RetryPolicy {}
