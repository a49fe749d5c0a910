//! Who is measured, and the proof that the work was done.

use std::{any::type_name, hint::black_box, ops::Range};

use anyhow::{Result, ensure};

use crate::work::{Error, FAILING};

/// What a call came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The work was done.
    Value(u64),
    /// It has failed.
    Failed,
    /// It was not done.
    Rejected,
}

/// What the contestants return, each in its own type.
pub trait Answered {
    /// What it came to.
    fn answer(self) -> Answer;
}

impl Answered for std::result::Result<u64, Error> {
    #[inline]
    fn answer(self) -> Answer {
        match self {
            Ok(value) => Answer::Value(value),
            Err(Error::Failed) => Answer::Failed,
            Err(Error::Rejected) => Answer::Rejected,
        }
    }
}

/// What many calls came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// The sum of all values.
    pub sum: u64,
    /// Calls that were rejected.
    pub rejected: u64,
    /// Calls that failed.
    pub failed: u64,
}

/// Which side somebody is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// What the others are compared with: nothing around the work, or a part of what must be paid.
    Floor,
    /// steadfast.
    Ours,
    /// Others, and what one would write by hand.
    Peer,
}

/// Something around the work.
pub struct Contestant {
    /// How the tables call it.
    pub name: &'static str,
    /// How it was set, so that it does the same as the others.
    pub settings: &'static str,
    /// Which side it is on.
    pub side: Side,
    /// The path of the function, by which callgrind's counts are found.
    pub symbol: &'static str,
    calls: Box<dyn Fn(Range<u64>) -> Tally + Send + Sync>,
    first_calls: Box<dyn Fn(Range<u64>) -> Tally + Send + Sync>,
    opens_after: Option<u64>,
    rejects: bool,
}

impl Contestant {
    /// `call` is a function that is not inlined, so that all pay for one call.
    pub fn new<R: Answered + 'static, F>(side: Side, name: &'static str, settings: &'static str, call: F) -> Self
    where
        F: Fn(u64) -> R + Send + Sync + Copy + 'static,
    {
        Self {
            name,
            settings,
            side,
            symbol: type_name::<F>(),
            calls: Box::new(move |numbers| measured_calls(numbers, call)),
            first_calls: Box::new(move |numbers| first_calls(numbers, call)),
            opens_after: None,
            rejects: false,
        }
    }

    /// It has a breaker that has to open after so many failures: proven by [`retire`](Self::retire).
    #[must_use]
    pub const fn opens_after(mut self, failures: u64) -> Self {
        self.opens_after = Some(failures);
        self
    }

    /// Its circuit is open, and each call has to be rejected: opened by [`warm_up`](Self::warm_up).
    #[must_use]
    pub const fn rejects(mut self) -> Self {
        self.rejects = true;
        self
    }

    /// Makes all that is made with the first calls.
    pub fn warm_up(&self) -> Result<()> {
        if self.rejects {
            self.open(1_000)?;
            return self.check((self.first_calls)(0..100), &(0..100));
        }
        self.check((self.first_calls)(0..1_000), &(0..1_000))
    }

    /// Makes a call with each number.
    #[must_use]
    pub fn call(&self, numbers: Range<u64>) -> Tally {
        (self.calls)(numbers)
    }

    /// Whether these calls did what they had to do.
    pub fn check(&self, tally: Tally, numbers: &Range<u64>) -> Result<()> {
        let calls = numbers.end - numbers.start;
        let expected = if self.rejects {
            Tally { rejected: calls, ..Tally::default() }
        } else {
            let sum = numbers.clone().fold(0_u64, |sum, number| sum.wrapping_add(number).wrapping_add(1));
            Tally { sum, ..Tally::default() }
        };
        ensure!(tally == expected, "{}: {tally:?} of {numbers:?} instead of {expected:?}", self.name);
        Ok(())
    }

    /// After all that was measured: whether its breaker was on guard.
    pub fn retire(&self) -> Result<()> {
        match self.opens_after {
            Some(failures) => self.open(failures),
            None => Ok(()),
        }
    }

    /// Fails until the circuit opens, which it has to do after exactly so many failures; or earlier, with as many as it takes.
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

/// What callgrind looks at: calls that are made from here.
#[inline(never)]
fn measured_calls<R: Answered>(numbers: Range<u64>, call: impl Fn(u64) -> R) -> Tally {
    tally(numbers, call)
}

/// And not from here. An empty range stands for its start alone.
#[inline(never)]
fn first_calls<R: Answered>(numbers: Range<u64>, call: impl Fn(u64) -> R) -> Tally {
    if numbers.is_empty() {
        let mut tally = Tally::default();
        tally.add(call(numbers.start).answer());
        return tally;
    }
    tally(numbers, call)
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "callgrind has to see the callers of the work under their names")]
fn tally<R: Answered>(numbers: Range<u64>, call: impl Fn(u64) -> R) -> Tally {
    let mut tally = Tally::default();
    for number in numbers {
        tally.add(call(black_box(number)).answer());
    }
    tally
}

impl Tally {
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "a part of each call that is measured")]
    const fn add(&mut self, answer: Answer) {
        match answer {
            Answer::Value(value) => self.sum = self.sum.wrapping_add(value),
            Answer::Failed => self.failed += 1,
            Answer::Rejected => self.rejected += 1,
        }
    }
}

impl std::fmt::Debug for Contestant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Contestant").field("name", &self.name).finish_non_exhaustive()
    }
}
