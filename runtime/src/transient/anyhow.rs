use std::time::Duration;

use anyhow::Error;

use crate::Transient;

/// By its chain of sources, as boxed errors.
impl Transient for Error {
    fn is_transient(&self) -> bool {
        (**self).is_transient()
    }

    fn retry_after(&self) -> Option<Duration> {
        (**self).retry_after()
    }

    fn is_rejection(&self) -> bool {
        (**self).is_rejection()
    }
}
