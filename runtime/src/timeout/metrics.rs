//! The metrics of timeouts.

use super::listed::timeouts;
use crate::telemetry::{Family, Labels};

pub(crate) fn families() -> Vec<Family> {
    let samples =
        timeouts().iter().map(|timeout| Labels::new("function", timeout.name).count(timeout.timed_out)).collect();
    vec![Family::counter("timeouts", "Calls that took longer than the limit of a timeout.", samples)]
}
