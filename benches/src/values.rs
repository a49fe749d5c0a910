//! Values of every size: the cost of a breaker, a retry and both for a function whose `Ok` value has 0 to 256 bytes, with and without a
//! destructor. The work is a function that is not inlined, so its result is in memory if it does not fit into registers.

use std::hint::black_box;

use crate::{
    contestant::Contestant,
    rows::{Figures, Row, target},
    work::Value,
};

/// A value with a destructor.
#[derive(Debug)]
pub struct Dropped<T>(T);

impl<T> Drop for Dropped<T> {
    #[inline]
    fn drop(&mut self) {
        // Not optimized away, unlike an empty destructor.
        black_box(());
    }
}

impl<T: Value> Value for Dropped<T> {
    const BYTES: u32 = T::BYTES;

    #[inline]
    fn of(number: u64) -> Self {
        Self(T::of(number))
    }

    #[inline]
    fn number(&self) -> u64 {
        self.0.number()
    }
}

/// The names of the contestants with each kind of value: bare, by hand, breaker, retry, both by hand, both.
type Names = [&'static str; 6];

/// The heads of the columns of the table, for [`lines`].
pub const HEADS: [&str; 9] =
    ["bare", "by hand", "breaker", "retry", "+ breaker", "+ retry", "both by hand", "both", "+ both"];

/// Returns the lines of the table of a row, one for each kind of value, from the names and the figures of the contestants.
#[must_use]
pub fn lines(names: &[&'static str], ns: &[f64]) -> Vec<(&'static str, [f64; 9])> {
    let kinds = names.as_chunks::<6>().0.iter().zip(ns.as_chunks::<6>().0);
    let line = |(names, ns): (&Names, &[f64; 6])| {
        let [bare, by_hand, breaker, retry, both_by_hand, both] = *ns;
        let added = [breaker - by_hand, retry - by_hand, both - both_by_hand];
        let line = [bare, by_hand, breaker, retry, added[0], added[1], both_by_hand, both, added[2]];
        (names[0].trim_end_matches(", bare"), line)
    };
    kinds.map(line).collect()
}

/// Returns the largest of the figures that `figure` computes for each kind of value.
fn worst(of: Figures<'_>, figure: fn([f64; 6]) -> f64) -> f64 {
    NAMES.iter().map(|names| figure(names.map(|name| of(name, 1)))).fold(f64::NEG_INFINITY, f64::max)
}

/// Returns the rows.
#[must_use]
pub fn rows() -> [Row; 2] {
    let row = |title, contestants, targets| Row {
        title,
        ours: "8 B, breaker",
        contestants,
        threads: &[1],
        needs_caches: false,
        of_values: true,
        targets,
        note: "",
    };
    [
        row(
            "values of every size",
            functions(),
            vec![
                target("breaker, any size: by hand + 1.5 ns", |of| worst(of, |ns| ns[2] - ns[1]), |_| 1.5),
                target("retry, any size: by hand + 1.5 ns", |of| worst(of, |ns| ns[3] - ns[1]), |_| 1.5),
                target("both, any size: both by hand + 3 ns", |of| worst(of, |ns| ns[5] - ns[4]), |_| 3.0),
            ],
        ),
        row(
            "values of every size, async",
            futures(),
            vec![target(
                "breaker, any size: 5 ns in all, or by hand + 1.5 ns if that is more",
                |of| worst(of, |ns| ns[2] - (ns[1] + 1.5 - 5.0).max(0.0)),
                |_| 5.0,
            )],
        ),
    ]
}

const SINGLE: &str = "looks at the result and returns it";
const BOTH: &str = "a breaker and a retry by hand";

/// The reaction of the handwritten function to an error.
#[cold]
#[inline(never)]
fn failed() {
    black_box(());
}

macro_rules! names {
    ($kind:literal) => {
        [
            concat!($kind, ", bare"),
            concat!($kind, ", by hand"),
            concat!($kind, ", breaker"),
            concat!($kind, ", retry"),
            concat!($kind, ", both by hand"),
            concat!($kind, ", both"),
        ]
    };
}

/// The contestants with a kind of value, in the order of [`Names`].
macro_rules! contestants {
    ($kind:literal: $bare:ident, $by_hand:ident, $breaker:ident, $retry:ident, $both_by_hand:ident, $both:ident) => {{
        let [bare, by_hand, breaker, retry, both_by_hand, both] = names!($kind);
        [
            Contestant::new(Baseline, bare, "the work alone", $bare),
            Contestant::new(Peer, by_hand, SINGLE, $by_hand),
            Contestant::new(Ours, breaker, BREAKER, $breaker),
            Contestant::new(Ours, retry, RETRY, $retry),
            Contestant::new(Peer, both_by_hand, BOTH, $both_by_hand),
            Contestant::new(Ours, both, BREAKER, $both),
        ]
        .map(|contestant| contestant.low_bytes(Value::BYTES))
    }};
}

macro_rules! values {
    ($($kind:literal $module:ident $value:ty;)*) => {
        const NAMES: &[Names] = &[$(names!($kind)),*];

        fn functions() -> Vec<Contestant> {
            [$($module::functions()),*].into_iter().flatten().collect()
        }

        fn futures() -> Vec<Contestant> {
            [$($module::futures()),*].into_iter().flatten().collect()
        }

        $(mod $module {
            use std::hint::black_box;

            use steadfast::{circuit_breaker, retry};

            #[allow(unused_imports, reason = "not all kinds of value have a destructor")]
            use super::Dropped;
            use super::{BOTH, SINGLE, failed};
            use crate::{
                by_hand::{self, Breaker},
                contestant::{Contestant, Role::{Baseline, Ours, Peer}},
                ours::{BREAKER, RETRY},
                work::{Error, Value as _, add, wait},
            };

            type Value = $value;

            #[inline(never)]
            fn bare(number: u64) -> Result<Value, Error> {
                add(black_box(number)).map(Value::of)
            }

            #[inline(never)]
            fn by_hand(number: u64) -> Result<Value, Error> {
                let result = bare(number);
                if result.is_err() {
                    failed();
                }
                result
            }

            #[inline(never)]
            #[circuit_breaker(name = "values")]
            fn breaker(number: u64) -> Result<Value, Error> {
                bare(number)
            }

            #[inline(never)]
            #[retry]
            fn retried(number: u64) -> Result<Value, Error> {
                bare(number)
            }

            #[inline(never)]
            fn both_by_hand(number: u64) -> Result<Value, Error> {
                static CLOSED: Breaker = Breaker::new();
                by_hand::attempts!(CLOSED.call(|| bare(number)), |delay| std::thread::sleep(delay))
            }

            #[inline(never)]
            #[retry]
            #[circuit_breaker(name = "values")]
            fn both(number: u64) -> Result<Value, Error> {
                bare(number)
            }

            pub(super) fn functions() -> [Contestant; 6] {
                contestants!($kind: bare, by_hand, breaker, retried, both_by_hand, both)
            }

            async fn future(number: u64) -> Result<Value, Error> {
                bare(number)
            }

            #[inline(never)]
            fn bare_async(number: u64) -> Result<Value, Error> {
                wait(future(number))
            }

            #[inline(never)]
            fn by_hand_async(number: u64) -> Result<Value, Error> {
                wait(async {
                    let result = future(number).await;
                    if result.is_err() {
                        failed();
                    }
                    result
                })
            }

            #[inline(never)]
            fn breaker_async(number: u64) -> Result<Value, Error> {
                #[circuit_breaker(name = "values")]
                async fn guarded(number: u64) -> Result<Value, Error> {
                    bare(number)
                }
                wait(guarded(number))
            }

            #[inline(never)]
            fn retried_async(number: u64) -> Result<Value, Error> {
                #[retry]
                async fn retried(number: u64) -> Result<Value, Error> {
                    bare(number)
                }
                wait(retried(number))
            }

            #[inline(never)]
            fn both_by_hand_async(number: u64) -> Result<Value, Error> {
                static CLOSED: Breaker = Breaker::new();
                wait(async {
                    by_hand::attempts!(CLOSED.call_async(async || bare(number)).await, |delay| {
                        tokio::time::sleep(delay).await
                    })
                })
            }

            #[inline(never)]
            fn both_async(number: u64) -> Result<Value, Error> {
                #[retry]
                #[circuit_breaker(name = "values")]
                async fn guarded(number: u64) -> Result<Value, Error> {
                    bare(number)
                }
                wait(guarded(number))
            }

            pub(super) fn futures() -> [Contestant; 6] {
                contestants!($kind: bare_async, by_hand_async, breaker_async, retried_async, both_by_hand_async, both_async)
            }
        })*
    };
}

values! {
    "0 B" unit ();
    "0 B, destructor" unit_dropped Dropped<()>;
    "1 B" byte u8;
    "1 B, destructor" byte_dropped Dropped<u8>;
    "8 B" word u64;
    "8 B, destructor" word_dropped Dropped<u64>;
    "16 B" words_2 [u64; 2];
    "16 B, destructor" words_2_dropped Dropped<[u64; 2]>;
    "24 B" words_3 [u64; 3];
    "24 B, destructor" words_3_dropped Dropped<[u64; 3]>;
    "64 B" words_8 [u64; 8];
    "64 B, destructor" words_8_dropped Dropped<[u64; 8]>;
    "256 B" words_32 [u64; 32];
    "256 B, destructor" words_32_dropped Dropped<[u64; 32]>;
}
