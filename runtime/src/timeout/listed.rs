//! The counts of calls that timed out, by name.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use super::{Timeout, UNNAMED, snapshot::TimeoutSnapshot};
use crate::{
    isolation::isolated,
    registry::{REGISTERED, Registered, Registrable, is_of_other_doc_test, running_doc_test},
    slices::slices,
};

/// A `#[timeout]`, listed before its first call.
#[derive(Clone, Copy, Debug)]
pub struct DeclaredTimeout {
    name: &'static str,
    /// `None` if the limit is an expression.
    limit: Option<Duration>,
    /// The path of the module that contains the function.
    module: &'static str,
}

slices! {
    /// All `#[timeout]` attributes. Several may have the same name.
    TIMEOUTS = STEADFAST_0_1_0_TIMEOUTS: [DeclaredTimeout];
}

/// The calls that timed out, by name.
type ByName = BTreeMap<&'static str, Timed>;

static TIMED_OUT: Mutex<ByName> = Mutex::new(BTreeMap::new());

/// The timeouts of one name.
#[derive(Clone, Copy, Debug, Default)]
struct Timed {
    limit: KnownLimit,
    timed_out: u64,
}

/// The time limit that timeouts of the same name have in common.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum KnownLimit {
    #[default]
    Unknown,
    Same(Duration),
    Different,
}

impl KnownLimit {
    fn add(&mut self, limit: Duration) {
        *self = match *self {
            Self::Unknown => Self::Same(limit),
            Self::Same(other) if other == limit => Self::Same(limit),
            Self::Same(_) | Self::Different => Self::Different,
        };
    }
}

impl DeclaredTimeout {
    /// Creates the entry of an attribute. `limit` is `None` if it is an expression.
    #[must_use]
    pub const fn new(name: &'static str, limit: Option<Duration>, module: &'static str) -> Self {
        Self { name, limit, module }
    }
}

#[diagnostic::do_not_recommend]
impl Registrable for Timeout {}

/// Returns the number of calls that timed out, for every `#[timeout]` of the program, and for every [`Timeout`] with a
/// [name](Timeout::name) that has ended a call or is [registered](crate::register), sorted by name.
///
/// Timeouts with the same name are counted together. A function with two timeouts should give each a `name`: by default, both have the path
/// of the function.
///
/// ```
/// # use std::io;
/// # use std::future::pending;
/// use steadfast::timeout;
///
/// #[timeout(2s)]
/// async fn quote(symbol: &str) -> io::Result<f64> {
/// #   pending().await
///     // ...
/// }
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() {
/// quote("ACME").await.unwrap_err();
/// let quotes = steadfast::timeouts().into_iter().find(|timeout| timeout.name.ends_with("::quote")).unwrap();
/// assert_eq!(quotes.timed_out, 1);
/// # }
/// ```
#[must_use]
pub fn timeouts() -> Vec<TimeoutSnapshot> {
    let mut by_name = counts().lock().unwrap_or_else(PoisonError::into_inner).clone();
    let running = running_doc_test();
    for DeclaredTimeout { name, limit, module } in TIMEOUTS {
        if !is_of_other_doc_test(module, running.as_deref()) {
            let entry = by_name.entry(name).or_default();
            if let Some(limit) = limit {
                entry.limit.add(*limit);
            }
        }
    }
    for Timeout { name, limit } in REGISTERED.iter().filter_map(Registered::downcast::<Timeout>) {
        if *name != UNNAMED {
            by_name.entry(name).or_default().limit.add(*limit);
        }
    }
    let snapshot = |(name, Timed { limit, timed_out })| TimeoutSnapshot {
        name,
        limit: if let KnownLimit::Same(limit) = limit { Some(limit) } else { None },
        timed_out,
    };
    by_name.into_iter().map(snapshot).collect()
}

/// Counts a call that has timed out, unless its timeout has no name.
pub(super) fn count(Timeout { name, limit }: Timeout) {
    if name != UNNAMED {
        let mut by_name = counts().lock().unwrap_or_else(PoisonError::into_inner);
        let entry = by_name.entry(name).or_default();
        entry.limit.add(limit);
        entry.timed_out += 1;
    }
}

/// Returns the counts of the program, or of the isolation that this thread has entered.
fn counts() -> &'static Mutex<ByName> {
    isolated(&TIMED_OUT, Mutex::default)
}
