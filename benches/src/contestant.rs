//! Contestants of the measurements, and the check that their calls did the work.

use std::{any::type_name, hint::black_box, ops::Range};

use anyhow::{Result, ensure};

use crate::work::{Error, FAILING, Value};

/// The result of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The work was done.
    Value(u64),
    /// The work failed.
    Failed,
    /// The call was rejected.
    Rejected,
}

/// The result type of a contestant's calls.
pub trait IntoOutcome {
    /// Converts the result.
    fn into_outcome(self) -> Outcome;
}

impl<V: Value> IntoOutcome for std::result::Result<V, Error> {
    #[inline]
    fn into_outcome(self) -> Outcome {
        match self {
            Ok(value) => Outcome::Value(value.number()),
            Err(Error::Failed) => Outcome::Failed,
            Err(Error::Rejected) => Outcome::Rejected,
        }
    }
}

/// The combined results of many calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// The sum of all values.
    pub sum: u64,
    /// Calls that were rejected.
    pub rejected: u64,
    /// Calls that failed.
    pub failed: u64,
}

/// The kind of a contestant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A baseline: the bare work, or the work with an unavoidable part of the cost.
    Baseline,
    /// steadfast.
    Ours,
    /// A peer, or handwritten code.
    Peer,
}

/// The work as called in one way: bare, or through a breaker or a retry of steadfast or of a peer.
pub struct Contestant {
    /// The name in tables.
    pub name: &'static str,
    /// The settings, equivalent to those of the other contestants.
    pub settings: &'static str,
    /// The kind of contestant.
    pub role: Role,
    /// The path of the function, by which callgrind's counts are found.
    pub symbol: &'static str,
    calls: Box<dyn Fn(Range<u64>) -> Tally + Send + Sync>,
    first_calls: Box<dyn Fn(Range<u64>) -> Tally + Send + Sync>,
    before_turn: fn(),
    opens_after: Option<u64>,
    rejects: bool,
    /// The bits of the result of the work that its value contains.
    mask: u64,
}

impl Contestant {
    /// Creates a contestant. `call` must not be inlined, so that each contestant pays for one call.
    pub fn new<R: IntoOutcome + 'static, F>(role: Role, name: &'static str, settings: &'static str, call: F) -> Self
    where
        F: Fn(u64) -> R + Send + Sync + Copy + 'static,
    {
        Self {
            name,
            settings,
            role,
            symbol: type_name::<F>(),
            calls: Box::new(move |numbers| measured_calls(numbers, call)),
            first_calls: Box::new(move |numbers| first_calls(numbers, call)),
            before_turn: || (),
            opens_after: None,
            rejects: false,
            mask: u64::MAX,
        }
    }

    /// Calls `prepare` before each turn, in every thread. It is not measured.
    #[must_use]
    pub const fn before_turn(mut self, prepare: fn()) -> Self {
        self.before_turn = prepare;
        self
    }

    /// Expects the breaker to open after exactly this many failures, checked by [`check_opening`](Self::check_opening).
    #[must_use]
    pub const fn opens_after(mut self, failures: u64) -> Self {
        self.opens_after = Some(failures);
        self
    }

    /// Expects the circuit to be open and each call rejected. [`warm_up`](Self::warm_up) opens it.
    #[must_use]
    pub const fn rejects(mut self) -> Self {
        self.rejects = true;
        self
    }

    /// Expects values that contain only the low `bytes` of the result of the work.
    #[must_use]
    pub const fn low_bytes(mut self, bytes: u32) -> Self {
        self.mask = u64::MAX.unbounded_shr(u64::BITS - 8 * bytes);
        self
    }

    /// Makes the first `calls`, which initialise everything lazy.
    pub fn warm_up(&self, calls: u64) -> Result<()> {
        if self.rejects {
            self.open(1_000)?;
        }
        self.check((self.first_calls)(0..calls), &(0..calls))
    }

    /// Prepares a turn.
    pub fn prepare(&self) {
        (self.before_turn)();
    }

    /// Makes a call with each number.
    #[must_use]
    pub fn call(&self, numbers: Range<u64>) -> Tally {
        (self.calls)(numbers)
    }

    /// Checks the results of calls.
    pub fn check(&self, tally: Tally, numbers: &Range<u64>) -> Result<()> {
        let calls = numbers.end - numbers.start;
        let expected = if self.rejects {
            Tally { rejected: calls, ..Tally::default() }
        } else {
            let sum = numbers.clone().fold(0_u64, |sum, number| sum.wrapping_add((number + 1) & self.mask));
            Tally { sum, ..Tally::default() }
        };
        ensure!(tally == expected, "{}: {tally:?} of {numbers:?} instead of {expected:?}", self.name);
        Ok(())
    }

    /// Checks after all measurements that the breaker opens.
    pub fn check_opening(&self) -> Result<()> {
        match self.opens_after {
            Some(failures) => self.open(failures),
            None => Ok(()),
        }
    }

    /// Makes failing calls until the circuit opens. This must happen after exactly `most` failures; for a contestant that rejects, at the
    /// latest after `most`.
    fn open(&self, most: u64) -> Result<()> {
        for failures in 0..=most {
            if (self.first_calls)(FAILING..FAILING).failed == 0 {
                ensure!(self.rejects || failures == most, "{} opened after {failures} failures", self.name);
                return Ok(());
            }
        }
        anyhow::bail!("{} did not open after {most} failures", self.name)
    }
}

/// Makes the measured calls. The callgrind profile is filtered by the name of this function.
#[inline(never)]
fn measured_calls<R: IntoOutcome>(numbers: Range<u64>, call: impl Fn(u64) -> R) -> Tally {
    tally(numbers, call)
}

/// Makes calls that are not measured. For an empty range, makes one call with the start of the range.
#[inline(never)]
fn first_calls<R: IntoOutcome>(numbers: Range<u64>, call: impl Fn(u64) -> R) -> Tally {
    if numbers.is_empty() {
        let mut tally = Tally::default();
        tally.add(call(numbers.start).into_outcome());
        return tally;
    }
    tally(numbers, call)
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "callgrind identifies the callers of the work by name")]
fn tally<R: IntoOutcome>(numbers: Range<u64>, call: impl Fn(u64) -> R) -> Tally {
    let mut tally = Tally::default();
    for number in numbers {
        tally.add(call(black_box(number)).into_outcome());
    }
    tally
}

impl Tally {
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "a part of each call that is measured")]
    const fn add(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Value(value) => self.sum = self.sum.wrapping_add(value),
            Outcome::Failed => self.failed += 1,
            Outcome::Rejected => self.rejected += 1,
        }
    }
}

impl std::fmt::Debug for Contestant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Contestant").field("name", &self.name).finish_non_exhaustive()
    }
}
