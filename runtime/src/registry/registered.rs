use std::{any::Any, fmt, panic::Location};

use super::Policy;
use crate::slices::slices;

/// A static policy that is listed by [`register!`](crate::register).
pub struct Registered {
    policy: &'static (dyn Any + Sync),
    pub(super) location: &'static Location<'static>,
    /// The path of the module that contains the `register!`.
    pub(super) module: &'static str,
}

/// A type whose statics [`register!`](crate::register) lists: a circuit breaker, a rate limit, a bulkhead, a retry policy, a retry budget, a
/// timeout or a fallback.
#[diagnostic::on_unimplemented(
    message = "a `{Self}` cannot be registered",
    label = "not a circuit breaker, rate limit, bulkhead, retry policy, retry budget, timeout or fallback"
)]
pub trait Registrable {
    /// Compiles only if the type can be registered.
    fn check(_: &Self) {}
}

#[diagnostic::do_not_recommend]
impl<P: Policy> Registrable for P {}

slices! {
    /// All static policies that are listed by `register!`.
    REGISTERED = STEADFAST_0_1_0_REGISTERED: [Registered];
}

impl Registered {
    /// Creates the entry that `register!(PATH)` lists.
    #[track_caller]
    #[must_use]
    pub const fn new<P: Any + Sync>(policy: &'static P, module: &'static str) -> Self {
        Self { policy, location: Location::caller(), module }
    }

    /// Returns the policy; `None` if it is not a `P`.
    pub(crate) fn downcast<P: Any>(&self) -> Option<&'static P> {
        (self.policy as &'static dyn Any).downcast_ref()
    }
}

impl fmt::Debug for Registered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registered").field("location", &self.location).finish_non_exhaustive()
    }
}

/// Registers a `static` circuit breaker, rate limit or bulkhead that no attribute uses, so that it can be found by its name, or a
/// [`RetryPolicy`](crate::RetryPolicy) with a name, so that it is listed before its first call and settings from a file apply to it. A
/// [`RetryBudget`](crate::RetryBudget), a [`Timeout`](struct@crate::Timeout) or a [`Fallback`](crate::Fallback) with a name is listed, too.
///
/// ```
/// use steadfast::{BreakerConfig, CircuitBreaker};
///
/// static LEDGER: CircuitBreaker = CircuitBreaker::new("ledger", BreakerConfig::new());
/// steadfast::register!(LEDGER);
///
/// assert!(steadfast::breaker("ledger").is_some());
/// ```
#[macro_export]
macro_rules! register {
    ($own:path) => {
        const _: () = {
            #[$crate::__private::linkme::distributed_slice($crate::__private::REGISTERED)]
            #[linkme(crate = $crate::__private::linkme)]
            // The name does not hide the static that is registered.
            static STEADFAST_REGISTERED: $crate::__private::Registered = {
                // Never called: a type that cannot be registered is reported by the name of the trait.
                const _: fn() = || $crate::__private::Registrable::check(&$own);
                $crate::__private::Registered::new(&$own, ::core::module_path!())
            };
        };
    };
}
