//! The keys of a name that have series of their own in metrics.
//!
//! A metrics system keeps a series for each value of a label that it has ever seen, so what is bounded here is the number of values over
//! time, and not only the number at one moment.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use super::KeyedEntry;
use crate::clock::Moment;

/// The keys that have had series, the latest last.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    known: VecDeque<Known>,
}

#[derive(Debug)]
struct Known {
    key: Box<str>,
    since: Moment,
}

/// For how long a key counts as new.
const PERIOD: Duration = Duration::from_hours(1);

impl Roster {
    /// Those of the `troubled`, the worst first, that have series: at most `most`, and at most `most` new ones in each [`PERIOD`].
    pub(crate) fn pick<V: KeyedEntry>(&mut self, troubled: Vec<Arc<V>>, most: usize, now: Moment) -> Vec<Arc<V>> {
        let is_new = |known: &Known| now.since(known.since) < PERIOD;
        let mut left = most.saturating_sub(self.known.iter().filter(|known| is_new(known)).count());
        let mut picked = Vec::new();
        for kept in troubled {
            if picked.len() == most {
                break;
            }
            let is_known = self.known.iter().any(|known| *known.key == *kept.key());
            if !is_known {
                if left == 0 {
                    continue;
                }
                left -= 1;
                self.known.push_back(Known { key: kept.key().into(), since: now });
            }
            picked.push(kept);
        }
        // A key that has had no series of late has to be admitted again.
        self.known.retain(|known| is_new(known) || picked.iter().any(|kept| *known.key == *kept.key()));
        picked
    }
}
