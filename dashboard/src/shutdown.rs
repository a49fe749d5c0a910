//! The signal that ends the streams of open pages before the service shuts down.

use std::{fmt, future};

use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared},
};

/// A signal that all streams wait for. By default, it never completes.
#[derive(Clone)]
pub(crate) struct Shutdown(Shared<BoxFuture<'static, ()>>);

impl Shutdown {
    pub(crate) fn new(signal: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(signal.boxed().shared())
    }

    /// Returns true if the signal has completed.
    pub(crate) fn has_begun(&self) -> bool {
        self.0.clone().now_or_never().is_some()
    }

    /// Waits for the signal.
    pub(crate) fn begun(&self) -> impl Future<Output = ()> + Send + 'static {
        self.0.clone()
    }
}

impl Default for Shutdown {
    fn default() -> Self {
        Self::new(future::pending())
    }
}

impl fmt::Debug for Shutdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Shutdown").finish()
    }
}
