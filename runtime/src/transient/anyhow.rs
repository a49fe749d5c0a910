use std::time::Duration;

use anyhow::Error;

use super::Transient;

/// By its chain of sources, as boxed errors.
#[diagnostic::do_not_recommend]
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
