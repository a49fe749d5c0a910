//! The selection of the keys that are reported individually.

use std::{cmp::Reverse, sync::Arc};
#[cfg(any(feature = "metrics", feature = "prometheus-client"))]
use std::{collections::VecDeque, time::Duration};

#[cfg(any(feature = "metrics", feature = "prometheus-client"))]
use super::entry::KeyedEntry;
#[cfg(any(feature = "metrics", feature = "prometheus-client"))]
use crate::clock::Moment;

/// Returns the instances with the highest `rank`, highest first, at most `limit`.
pub(crate) fn top_by<V, R: Ord>(
    entries: impl Iterator<Item = Arc<V>>,
    limit: usize,
    rank: impl Fn(&V) -> R,
) -> Vec<Arc<V>> {
    let mut ranked: Vec<_> = entries.map(|entry| (Reverse(rank(&entry)), entry)).collect();
    let by_rank = |(one, _): &(Reverse<R>, Arc<V>), (other, _): &(Reverse<R>, Arc<V>)| one.cmp(other);
    if limit < ranked.len() {
        ranked.select_nth_unstable_by(limit, by_rank);
        ranked.truncate(limit);
    }
    ranked.sort_by(by_rank);
    ranked.into_iter().map(|(_, entry)| entry).collect()
}

/// A bound on the keys of one name that have metric series of their own.
///
/// A metrics system keeps a series for each label value that it has ever received. Therefore the number of distinct values over time is
/// bounded, not only their number at one moment.
#[cfg(any(feature = "metrics", feature = "prometheus-client"))]
#[derive(Debug, Default)]
pub(super) struct SeriesQuota {
    /// The keys that were selected last or were admitted within the last [`PERIOD`], in the order of admission.
    tracked: VecDeque<Tracked>,
}

#[cfg(any(feature = "metrics", feature = "prometheus-client"))]
#[derive(Debug)]
struct Tracked {
    key: Box<str>,
    since: Moment,
}

/// The time for which a key counts as new after it was admitted.
#[cfg(any(feature = "metrics", feature = "prometheus-client"))]
const PERIOD: Duration = Duration::from_hours(1);

#[cfg(any(feature = "metrics", feature = "prometheus-client"))]
impl SeriesQuota {
    /// Selects from `candidates`, by descending `rank`, at most `limit` that get series, of which at most `limit` are new in each
    /// [`PERIOD`]. The `overflow` instance, if it is a candidate, comes last and does not count towards the limit.
    pub(super) fn select<V: KeyedEntry, R: Ord>(
        &mut self,
        mut candidates: Vec<Arc<V>>,
        overflow: Option<Arc<V>>,
        limit: usize,
        rank: impl Fn(&V) -> R,
    ) -> Vec<Arc<V>> {
        candidates.sort_by_cached_key(|entry| Reverse(rank(entry)));
        let overflow = overflow.and_then(|overflow| {
            let index = candidates.iter().position(|entry| Arc::ptr_eq(entry, &overflow))?;
            Some(candidates.remove(index))
        });
        let mut selected = self.admit(candidates, limit, crate::clock::now());
        selected.extend(overflow);
        selected
    }

    /// Selects from `candidates`, in their order, as [`select`](Self::select) does.
    fn admit<V: KeyedEntry>(&mut self, candidates: Vec<Arc<V>>, limit: usize, now: Moment) -> Vec<Arc<V>> {
        let is_new = |tracked: &Tracked| now.since(tracked.since) < PERIOD;
        let mut remaining = limit.saturating_sub(self.tracked.iter().filter(|tracked| is_new(tracked)).count());
        let mut selected = Vec::new();
        for entry in candidates {
            if selected.len() == limit {
                break;
            }
            let is_tracked = self.tracked.iter().any(|tracked| *tracked.key == *entry.key_text());
            if !is_tracked {
                if remaining == 0 {
                    continue;
                }
                remaining -= 1;
                self.tracked.push_back(Tracked { key: entry.key_text().into(), since: now });
            }
            selected.push(entry);
        }
        // A key that is not selected has to be admitted again once it is no longer new.
        self.tracked
            .retain(|tracked| is_new(tracked) || selected.iter().any(|entry| *tracked.key == *entry.key_text()));
        selected
    }
}
