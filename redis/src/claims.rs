//! What the fleets of this program share. An instance has one vote, so nothing is shared by two of them.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::FleetError;

/// Places in memory, each of which is claimed until this is dropped.
#[derive(Debug)]
pub(crate) struct Claims(Vec<usize>);

static CLAIMED: Mutex<Vec<usize>> = Mutex::new(Vec::new());

impl Claims {
    pub(crate) const fn new() -> Self {
        Self(Vec::new())
    }

    /// Claims something that is called so.
    pub(crate) fn add<T>(&mut self, shared: &'static T, name: &str) -> Result<(), FleetError> {
        let (place, mut claimed) = (std::ptr::from_ref(shared).addr(), claimed());
        if claimed.contains(&place) {
            return Err(FleetError::AlreadyShared(name.into()));
        }
        claimed.push(place);
        self.0.push(place);
        Ok(())
    }
}

impl Drop for Claims {
    fn drop(&mut self) {
        claimed().retain(|place| !self.0.contains(place));
    }
}

fn claimed() -> MutexGuard<'static, Vec<usize>> {
    CLAIMED.lock().unwrap_or_else(PoisonError::into_inner)
}
