//! Marker types that select where a circuit breaker, a rate limit or a bulkhead stores its settings: in itself, or shared by all keys of its name.

#[cfg(feature = "keyed")]
use std::sync::{Arc, atomic::AtomicBool};
use std::{borrow::Borrow, fmt::Debug};

/// The way in which an instance is identified: by its name alone ([`Unkeyed`]), or by a name and a key (`Keyed`).
///
/// [`CircuitBreaker`](crate::CircuitBreaker), [`RateLimit`](crate::RateLimit) and [`Bulkhead`](crate::Bulkhead) are generic over this
/// trait. It is sealed.
pub trait Keying: storage::Storage + 'static {}

/// The marker of a breaker, rate limit or bulkhead that has a name and no key.
#[derive(Clone, Copy, Debug)]
pub enum Unkeyed {}

/// The marker of a breaker, rate limit or bulkhead that belongs to one key.
#[cfg(feature = "keyed")]
#[derive(Clone, Copy, Debug)]
pub enum Keyed {}

impl Keying for Unkeyed {}

#[cfg(feature = "keyed")]
impl Keying for Keyed {}

/// The settings of the instance of one key, shared with the instances of all keys of the name.
#[cfg(feature = "keyed")]
#[derive(Debug)]
pub struct KeyedSettings<S> {
    pub(crate) shared: Arc<S>,
    /// The CLOCK reference bit: set by a lookup, cleared as the hand passes.
    pub(crate) used: AtomicBool,
}

#[cfg(feature = "keyed")]
impl<S> KeyedSettings<S> {
    pub(crate) const fn new(shared: Arc<S>) -> Self {
        Self { shared, used: AtomicBool::new(false) }
    }
}

#[cfg(feature = "keyed")]
impl<S> Borrow<S> for KeyedSettings<S> {
    fn borrow(&self) -> &S {
        &self.shared
    }
}

/// The private supertrait of [`Keying`], which seals it.
mod storage {
    use super::{Borrow, Debug, Unkeyed};
    #[cfg(feature = "keyed")]
    use super::{Keyed, KeyedSettings};

    /// The storage of settings in an instance.
    pub trait Storage {
        /// The field that holds settings of type `S`, or a reference to them.
        type Settings<S: Debug + Send + Sync + 'static>: Borrow<S> + Debug + Send + Sync;
    }

    impl Storage for Unkeyed {
        type Settings<S: Debug + Send + Sync + 'static> = S;
    }

    #[cfg(feature = "keyed")]
    impl Storage for Keyed {
        type Settings<S: Debug + Send + Sync + 'static> = KeyedSettings<S>;
    }
}
