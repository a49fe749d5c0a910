//! A single-threaded breaker written for readability, without packed or shared state. Times are in microseconds.

use std::{collections::VecDeque, time::Duration};

use steadfast::{
    BreakerState::{self, Closed, Disabled, ForcedOpen, HalfOpen, Open},
    OpenReason,
};

/// The reason of a circuit that is open, in the place of the [`OpenReason`], which only the library can create.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    InARow { failures: u32, cancelled: bool },
    FailureRate { failures: u32, calls: u32, cancelled: bool },
    SlowCallRate { slow: u32, calls: u32 },
    Other(OpenReason),
}

impl From<OpenReason> for Reason {
    fn from(reason: OpenReason) -> Self {
        match reason {
            OpenReason::ConsecutiveFailures { failures, .. } => Self::InARow { failures, cancelled: false },
            OpenReason::CancelledCalls { failures, calls: None, .. } => Self::InARow { failures, cancelled: true },
            OpenReason::FailureRate { failures, calls, .. } => Self::FailureRate { failures, calls, cancelled: false },
            OpenReason::CancelledCalls { failures, calls: Some(calls), .. } => {
                Self::FailureRate { failures, calls, cancelled: true }
            }
            OpenReason::SlowCallRate { slow, calls, .. } => Self::SlowCallRate { slow, calls },
            other => Self::Other(other),
        }
    }
}

impl Reason {
    fn is_hung(self) -> bool {
        matches!(self, Self::Other(OpenReason::Hung { .. }))
    }
}

/// The settings of a breaker.
#[derive(Clone, Copy, Debug)]
pub(super) struct Config {
    pub(super) policy: Policy,
    /// The failure threshold beside a window.
    pub(super) threshold: Option<u32>,
    pub(super) min_calls: u32,
    pub(super) failure_rate: f64,
    pub(super) slow_call: Option<u64>,
    pub(super) slow_call_rate: f64,
    pub(super) recovery: u64,
    pub(super) factor: f64,
    pub(super) max_recovery: u64,
    pub(super) trials: u32,
    /// The number of trial calls that have to succeed; all if there are fewer.
    pub(super) successes: u32,
    pub(super) observe_only: bool,
    pub(super) hung_call: Option<u64>,
    pub(super) cancelled_call: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Policy {
    Consecutive(u32),
    Calls(u32),
    Time(u64),
}

/// The rounds before the present one whose trial calls still count.
const EARLIER_ROUNDS: u32 = 31;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Success,
    Failure,
    Ignored,
    Cancelled,
}

/// The permit of an admitted call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Permit {
    /// The generation in which the call was admitted; `None` if it was admitted only because the breaker observes.
    generation: Option<u32>,
    round: u32,
    /// The start of the call, if calls are timed.
    started: Option<u64>,
    /// The number of the call, if hung calls are counted.
    tracked: Option<usize>,
}

/// A tracked call in flight.
#[derive(Debug)]
struct Tracked {
    number: usize,
    started: u64,
    generation: u32,
    fate: Fate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Pending,
    /// The call has been counted as hung, or is of an earlier generation.
    Counted,
    /// The call was in flight when `hung_call` changed, or when the breaker was not called for long.
    Forgiven,
    /// The call was forgiven a second time, after which the breaker may not know that it was forgiven.
    Unknown,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Rejected {
    pub(super) reason: Reason,
    pub(super) elapsed: Option<Duration>,
    pub(super) retry_after: Option<Duration>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Totals {
    pub(super) successes: u64,
    pub(super) failures: u64,
    pub(super) ignored: u64,
    pub(super) cancelled: u64,
    pub(super) hung: u64,
    pub(super) in_flight: Option<u64>,
    pub(super) rejections: u64,
    pub(super) observed_rejections: u64,
    pub(super) transitions: u64,
}

/// The time from the opening of a closed circuit until it closes again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Outage {
    since: u64,
    pub(super) reason: Reason,
    pub(super) failed_recoveries: u32,
    pub(super) lasted: Duration,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) calls: u32,
    pub(super) failures: u32,
    pub(super) slow: u32,
}

#[derive(Clone, Copy, Debug)]
struct Call {
    /// The start of the window's slot in which the call was counted.
    slot: u64,
    failed: bool,
    slow: bool,
}

/// The trial permits of a half-open circuit.
#[derive(Debug, Default)]
struct Trials {
    round: u32,
    taken: u32,
    succeeded: u32,
    failed: u32,
    /// The start of the oldest trial call that may still be in flight.
    oldest: u64,
}

#[derive(Debug)]
pub(super) struct Model {
    pub(super) config: Config,
    pub(super) now: u64,
    pub(super) state: BreakerState,
    pub(super) totals: Totals,
    pub(super) failed_recoveries: u32,
    outage: Option<Outage>,
    /// Increased whenever results of calls in flight become obsolete.
    generation: u32,
    last_transition: Option<u64>,
    /// The time at which the circuit opened, and the expiry that an override has set.
    opened: (u64, Option<u64>),
    consecutive_failures: u32,
    by_calls: VecDeque<Call>,
    by_time: VecDeque<Call>,
    /// The start of the current slot of a time window.
    slot: Option<u64>,
    /// The number of calls that a count window holds; `None` before the first one.
    size: Option<u32>,
    cause: Option<Reason>,
    trials: Trials,
    /// The expiry of the forced-open or disabled state.
    until: Option<u64>,
    tracked: Vec<Tracked>,
    next_number: usize,
    /// The time of the last admission that counted hung calls, and of the last event that may have.
    looked_at: (u64, u64),
}

const MINUTE: u64 = 60_000_000;

impl Model {
    pub(super) fn new(config: Config) -> Self {
        Self {
            config,
            now: 0,
            state: Closed,
            totals: Totals::default(),
            failed_recoveries: 0,
            outage: None,
            generation: 0,
            last_transition: None,
            opened: (0, None),
            consecutive_failures: 0,
            by_calls: VecDeque::new(),
            by_time: VecDeque::new(),
            slot: None,
            size: None,
            cause: None,
            trials: Trials::default(),
            until: None,
            tracked: Vec::new(),
            next_number: 0,
            looked_at: (0, 0),
        }
    }

    /// Requests admission. The breaker has counted `hung` calls as hung, for a reason that says `calls`.
    pub(super) fn acquire(&mut self, hung: u64, reason: Option<Reason>) -> Result<Permit, Rejected> {
        if self.config.hung_call.is_some() && matches!(self.state, Closed | HalfOpen) {
            self.look(hung, None, reason);
            self.looked_at = (self.now, self.now);
        }
        let mut admitted = self.decide()?;
        if admitted.generation.is_some() && self.state != Disabled {
            let is_timed = self.config.is_timed() || self.next_number > 0;
            admitted.started = is_timed.then_some(self.now);
            if self.config.hung_call.is_some() {
                admitted.tracked = Some(self.next_number);
                self.tracked.push(Tracked {
                    number: self.next_number,
                    started: self.now,
                    generation: self.generation,
                    fate: Fate::Pending,
                });
                self.next_number += 1;
                self.looked_at = (self.now, self.now);
            }
        }
        Ok(admitted)
    }

    /// Checks the number of calls that the breaker has counted as hung, and counts them. A call must be counted once its age is 13
    /// twelfths of the limit, and must not be counted before the limit.
    fn look(&mut self, hung: u64, ending: Option<usize>, reason: Option<Reason>) {
        let Some(limit) = self.config.hung_call else { return assert_eq!(hung, 0) };
        let (now, tick) = (self.now, limit / 12 + 1);
        let (is_idle, may_be_idle) = (self.is_idle(self.looked_at.1, -6), self.is_idle(self.looked_at.0, 6));
        let generation = self.generation;
        let is_candidate = |call: &&mut Tracked| {
            call.fate == Fate::Pending && call.generation == generation && now - call.started >= limit
        };
        let must = self.tracked.iter_mut().filter(is_candidate).filter(|call| now - call.started >= 13 * tick);
        let must = match ending {
            None => must.count() as u64,
            Some(ending) => u64::from(self.tracked.iter_mut().filter(is_candidate).any(|call| call.number == ending)),
        };
        assert!(hung == 0 || !is_idle, "{hung} calls were counted as hung after an idle time");
        assert!(hung >= must || may_be_idle && hung == 0, "{hung} of at least {must} calls were counted as hung");
        if may_be_idle && hung == 0 {
            return self.forgive();
        }
        // The call that ends first, then the oldest.
        let mut candidates: Vec<_> = self.tracked.iter_mut().filter(is_candidate).collect();
        candidates.sort_by_key(|call| (Some(call.number) != ending, call.started));
        assert!(hung <= candidates.len() as u64, "{hung} of at most {} calls were counted as hung", candidates.len());
        for call in candidates.into_iter().take(usize::try_from(hung).unwrap()) {
            call.fate = Fate::Counted;
        }
        self.totals.hung += hung;
        self.count_failures(hung, reason.filter(|reason| reason.is_hung()));
    }

    /// Returns true if the breaker has not been called since `looked_at` for so long that the program may have been suspended, within a
    /// number of ticks.
    fn is_idle(&self, looked_at: u64, tolerance: i64) -> bool {
        self.config.hung_call.is_some_and(|limit| {
            let tick = (limit / 12 + 1).cast_signed();
            let gap = (self.now - looked_at).saturating_add_signed(tolerance * tick);
            gap >= 16 * limit && gap >= MINUTE
        })
    }

    fn count_failures(&mut self, calls: u64, reason: Option<Reason>) {
        for _ in 0..calls {
            let before = self.state;
            match before {
                Closed => self.count(true, false, false),
                HalfOpen => {
                    self.fail_trial();
                    self.trials.taken = self.trials.taken.max(self.trials.succeeded + self.trials.failed);
                }
                _ => return,
            }
            if self.state == Open {
                let reason = reason.expect("the breaker is open for this reason");
                self.cause = Some(reason);
                self.outage =
                    self.outage.map(|outage| if before == Closed { Outage { reason, ..outage } } else { outage });
            }
        }
    }

    fn forgive(&mut self) {
        for call in &mut self.tracked {
            call.fate = match call.fate {
                Fate::Pending => Fate::Forgiven,
                Fate::Forgiven => Fate::Unknown,
                fate => fate,
            };
        }
    }

    /// The number of tracked calls in flight; `None` if calls are not tracked.
    pub(super) fn tracked_in_flight(&self) -> Option<u64> {
        self.config.hung_call.map(|_| self.tracked.len() as u64)
    }

    /// Returns true if the model does not know the effect of the end of this call.
    pub(super) fn is_unknown(&self, permit: Permit) -> bool {
        // A permit stores the lower bits of a tick. Ages of months, or of hours if `hung_call` is short, cannot be told from shorter ones.
        let longest = self.config.hung_call.map_or(0, |limit| limit / 12) << 25;
        let mut calls = self.tracked.iter().filter(|call| Some(call.number) == permit.tracked);
        calls.any(|call| match call.fate {
            Fate::Unknown => true,
            Fate::Forgiven if self.is_idle(self.looked_at.0, 6) => true,
            _ => self.now - call.started > longest,
        })
    }

    fn decide(&mut self) -> Result<Permit, Rejected> {
        let rejection = match self.state {
            Open if self.open_left() > 0 => {
                Some((self.cause.expect("an open circuit has a cause"), Some(self.open_left())))
            }
            ForcedOpen if self.override_left() != Some(0) => {
                Some((Reason::Other(OpenReason::Forced), self.override_left()))
            }
            Open | ForcedOpen => {
                self.enter(HalfOpen);
                self.trials = Trials::default();
                self.take_permit();
                None
            }
            HalfOpen => {
                if self.trial_timeout_left() == 0 {
                    self.trials.round += 1;
                    self.trials.taken = self.trials.succeeded + self.trials.failed;
                }
                if self.trials.taken < self.config.trials {
                    self.take_permit();
                    None
                } else {
                    Some((Reason::Other(OpenReason::TrialsUnderWay), Some(self.trial_timeout_left())))
                }
            }
            Disabled if self.override_left() == Some(0) => {
                self.close();
                None
            }
            _ => None,
        };
        let Some((reason, wait)) = rejection else {
            let generation = Some(self.generation);
            return Ok(Permit { generation, round: self.trials.round, started: None, tracked: None });
        };
        if self.config.observe_only {
            self.totals.observed_rejections += 1;
            return Ok(Permit { generation: None, round: 0, started: None, tracked: None });
        }
        self.totals.rejections += 1;
        let elapsed = self.last_transition.map(|last_transition| Duration::from_micros(self.now - last_transition));
        Err(Rejected { reason, elapsed, retry_after: wait.map(Duration::from_micros) })
    }

    /// Ends a call. The breaker has counted `hung` calls as hung, and is now open for `reason`.
    pub(super) fn end(&mut self, permit: Permit, outcome: Outcome, hung: u64, reason: Option<Reason>) {
        match outcome {
            Outcome::Cancelled => self.totals.cancelled += 1,
            Outcome::Success => self.totals.successes += 1,
            Outcome::Failure => self.totals.failures += 1,
            Outcome::Ignored => self.totals.ignored += 1,
        }
        if let Some(number) = permit.tracked {
            self.look(hung, Some(number), reason);
            self.looked_at.1 = self.now;
            let position = self.tracked.iter().position(|call| call.number == number).expect("in flight");
            let Tracked { fate, started, .. } = self.tracked.swap_remove(position);
            if self.config.hung_call.is_some_and(|limit| self.now - started >= limit) {
                self.looked_at.0 = self.now;
            }
            if fate == Fate::Counted {
                return;
            }
        } else {
            assert_eq!(hung, 0);
        }
        if permit.generation != Some(self.generation) {
            return;
        }
        let is_cancelled = outcome == Outcome::Cancelled;
        let outcome = match outcome {
            Outcome::Cancelled => match self.cancelled(permit) {
                Some(outcome) => outcome,
                None => return,
            },
            outcome => outcome,
        };
        let slow = match (permit.started, self.config.slow_call()) {
            (Some(started), Some(limit)) => self.now - started >= limit,
            _ => false,
        };
        match (self.state, outcome) {
            (HalfOpen, _) if permit.round + EARLIER_ROUNDS < self.trials.round => {}
            (Closed, Outcome::Success | Outcome::Failure) => {
                self.count(outcome == Outcome::Failure, slow, is_cancelled);
            }
            (HalfOpen, Outcome::Ignored) if permit.round != self.trials.round => {}
            (HalfOpen, Outcome::Ignored) => self.trials.taken -= 1,
            (HalfOpen, Outcome::Success) if !slow => {
                self.trials.succeeded += 1;
                if permit.round != self.trials.round {
                    self.trials.taken += 1;
                }
                self.close_if_recovered();
            }
            (HalfOpen, _) => {
                if permit.round != self.trials.round {
                    self.trials.taken += 1;
                }
                self.fail_trial();
            }
            _ => {}
        }
    }

    /// Counts a failed trial call, which opens the circuit once the needed successes are out of reach.
    fn fail_trial(&mut self) {
        self.trials.failed += 1;
        self.open_if_out_of_reach();
    }

    fn open_if_out_of_reach(&mut self) {
        if self.trials.failed > self.config.trials - self.config.needed_successes() {
            self.failed_recoveries += 1;
            self.open(Reason::Other(OpenReason::TrialFailed));
        }
    }

    /// Judges a cancelled call. Returns the outcome as which it counts; `None` if it is dealt with.
    fn cancelled(&mut self, permit: Permit) -> Option<Outcome> {
        let waited = permit.started.map_or(0, |started| self.now - started);
        if self.config.cancelled_call.is_some_and(|limit| waited >= limit) {
            if self.state != HalfOpen {
                return Some(Outcome::Failure);
            }
            // A trial call of an earlier round changes nothing.
            if permit.round == self.trials.round {
                self.fail_trial();
                if self.state == Open && self.open_duration() < 2_000_000 {
                    self.opened = (self.now, Some(self.now + 2_000_000));
                }
            }
            return None;
        }
        if waited < 50_000 {
            return Some(Outcome::Ignored);
        }
        // The rule for cancelled calls applies only to futures, not to permits.
        if self.state == HalfOpen && permit.round == self.trials.round {
            let begins = (self.now + 2_000_000).saturating_sub(self.open_duration());
            self.trials.oldest = self.trials.oldest.max(begins);
        }
        None
    }

    pub(super) fn force_open(&mut self, expires_in: Option<u64>) {
        self.apply_override(ForcedOpen, expires_in);
    }

    pub(super) fn disable(&mut self, expires_in: Option<u64>) {
        self.apply_override(Disabled, expires_in);
    }

    pub(super) fn reset(&mut self) {
        self.close();
    }

    pub(super) fn override_open(&mut self, expires_in: Option<u64>, failed: u32) {
        if matches!(self.state, ForcedOpen | Disabled) && self.override_left() != Some(0) {
            return;
        }
        if self.state != Open {
            self.open(Reason::Other(OpenReason::Override));
        }
        self.failed_recoveries = self.failed_recoveries.max(failed);
        if self.failed_recoveries > 0 && !self.cause.is_some_and(Reason::is_hung) {
            self.cause = Some(Reason::Other(OpenReason::TrialFailed));
        }
        self.opened = (self.now, expires_in.map(|expires_in| self.now + expires_in));
    }

    pub(super) fn override_close(&mut self) {
        if matches!(self.state, Open | HalfOpen) || self.state_by_time() == HalfOpen {
            self.close();
        }
    }

    pub(super) fn reconfigure(&mut self, config: Config) {
        if self.config.hung_call != config.hung_call && self.next_number > 0 {
            self.forgive();
        }
        self.config = config;
        // A window that is not configured drops its counts.
        match (self.size, config.policy) {
            (Some(size), Policy::Calls(calls)) => self.resize(size, calls),
            (size, _) => {
                self.size = size.map(|_| 0);
                self.by_calls.clear();
            }
        }
        if !matches!(config.policy, Policy::Time(_)) {
            self.by_time.clear();
            self.slot = None;
        }
        if self.state == HalfOpen {
            self.close_if_recovered();
        }
        if self.state == HalfOpen {
            self.open_if_out_of_reach();
        }
    }

    /// Returns the state that the next call finds.
    pub(super) fn state_by_time(&self) -> BreakerState {
        match (self.state, self.open_for().or(self.override_left())) {
            (Open | ForcedOpen, Some(0)) => HalfOpen,
            (Disabled, Some(0)) => Closed,
            (state, _) => state,
        }
    }

    pub(super) fn trials_in_flight(&self) -> u32 {
        let Trials { taken, succeeded, failed, .. } = self.trials;
        if self.state == HalfOpen { taken - succeeded - failed } else { 0 }
    }

    pub(super) fn outage(&self) -> Option<Outage> {
        self.outage
    }

    pub(super) fn consecutive_failures(&self) -> u32 {
        if self.config.threshold().is_some() { self.consecutive_failures } else { 0 }
    }

    pub(super) fn window(&self) -> Option<Counts> {
        let held: Vec<_> = match self.config.policy {
            Policy::Consecutive(_) => return None,
            Policy::Calls(most) => self.by_calls.iter().rev().take(most as usize).collect(),
            Policy::Time(window) => self.by_time.iter().filter(|call| call.slot + window > self.now).collect(),
        };
        let count = |counts: fn(&Call) -> bool| u32::try_from(held.iter().filter(|call| counts(call)).count()).unwrap();
        Some(Counts { calls: count(|_| true), failures: count(|call| call.failed), slow: count(|call| call.slow) })
    }

    pub(super) fn open_reason(&self) -> Option<Reason> {
        match self.state {
            Open => self.cause,
            ForcedOpen if self.override_left() != Some(0) => Some(Reason::Other(OpenReason::Forced)),
            _ => None,
        }
    }

    pub(super) fn open_for(&self) -> Option<u64> {
        match self.state {
            Open => Some(self.open_left()),
            ForcedOpen => self.override_left(),
            _ => None,
        }
    }

    pub(super) fn disabled_for(&self) -> Option<u64> {
        if self.state == Disabled { self.override_left().filter(|left| *left > 0) } else { None }
    }

    /// Returns the durations until something expires, so that a test can stop the clock near those moments.
    pub(super) fn deadlines(&self) -> Vec<u64> {
        let window = match self.config.policy {
            Policy::Time(window) => self.by_time.iter().map(|call| call.slot + window).collect(),
            _ => vec![],
        };
        let ends = match self.state {
            HalfOpen => Some(self.trials.oldest + self.open_duration()),
            _ => self.open_for().or(self.disabled_for()).map(|left| self.now + left),
        };
        let future = window.into_iter().chain(ends).filter(|at| *at > self.now);
        future.map(|at| at - self.now).collect()
    }

    fn count(&mut self, failed: bool, slow: bool, cancelled: bool) {
        self.consecutive_failures = match (failed, self.config.threshold()) {
            (true, Some(_)) => self.consecutive_failures + 1,
            (true, None) => self.consecutive_failures,
            (false, _) => 0,
        };
        let in_a_row = self.consecutive_failures;
        if !matches!(self.config.policy, Policy::Consecutive(_)) && self.size.is_none() {
            self.size = Some(if let Policy::Calls(calls) = self.config.policy { calls } else { 0 });
        }
        if let Policy::Time(window) = self.config.policy {
            self.begin_slot(window);
        }
        let call = Call { slot: self.slot.unwrap_or(0), failed, slow };
        match self.config.policy {
            Policy::Consecutive(_) => {}
            Policy::Calls(_) => self.by_calls.push_back(call),
            Policy::Time(_) => self.by_time.push_back(call),
        }
        if (failed || slow) && !matches!(self.config.policy, Policy::Consecutive(_)) {
            self.evaluate_window(cancelled);
        }
        if self.state == Closed && failed && self.config.threshold().is_some_and(|threshold| in_a_row >= threshold) {
            self.open(Reason::InARow { failures: in_a_row, cancelled });
        }
    }

    fn evaluate_window(&mut self, cancelled: bool) {
        let Counts { calls, failures, slow } = self.window().expect("called with a window only");
        let min_calls = match self.config.policy {
            Policy::Calls(most) => self.config.min_calls.min(most),
            _ => self.config.min_calls,
        };
        if calls < min_calls {
            return;
        }
        let share = |count: u32| f64::from(count) / f64::from(calls);
        if failures > 0 && share(failures) >= self.config.failure_rate {
            self.open(Reason::FailureRate { failures, calls, cancelled });
        } else if self.config.slow_call.is_some() && slow > 0 && share(slow) >= self.config.slow_call_rate {
            self.open(Reason::SlowCallRate { slow, calls });
        }
    }

    /// Starts a new slot once a sixteenth of the window has elapsed, and drops calls that are older than the window.
    fn begin_slot(&mut self, window: u64) {
        if self.slot.is_some_and(|slot| self.now - slot < (window / 16).max(1)) {
            return;
        }
        self.slot = Some(self.now);
        self.by_time.retain(|call| call.slot + window > self.now);
    }

    /// Resizes a count window. A larger window keeps only the calls that the smaller one held.
    fn resize(&mut self, size: u32, calls: u32) {
        while size > 0 && calls > size && self.by_calls.len() > size as usize {
            self.by_calls.pop_front();
        }
        self.size = Some(calls);
    }

    fn open(&mut self, cause: Reason) {
        if let (HalfOpen, Some(outage)) = (self.state, &mut self.outage)
            && cause != Reason::Other(OpenReason::Override)
        {
            outage.failed_recoveries += 1;
        }
        self.enter(Open);
        self.begin_outage(cause);
        self.cause = Some(cause);
        self.opened = (self.now, None);
    }

    fn begin_outage(&mut self, reason: Reason) {
        let failed_recoveries = self.failed_recoveries;
        let begins = Outage { since: self.now, reason, failed_recoveries, lasted: Duration::ZERO };
        self.outage.get_or_insert(begins);
    }

    fn close(&mut self) {
        self.enter(Closed);
        self.outage = None;
        self.failed_recoveries = 0;
    }

    fn close_if_recovered(&mut self) {
        if self.trials.succeeded >= self.config.needed_successes() {
            self.close();
        }
    }

    fn apply_override(&mut self, state: BreakerState, expires_in: Option<u64>) {
        if self.state != state {
            self.enter(state);
            self.failed_recoveries = 0;
            match state {
                ForcedOpen => self.begin_outage(Reason::Other(OpenReason::Forced)),
                _ => self.outage = None,
            }
        }
        self.until = expires_in.map(|expires_in| self.now + expires_in);
    }

    /// Enters a state. Counts start at zero in each state.
    fn enter(&mut self, state: BreakerState) {
        self.generation += 1;
        for call in &mut self.tracked {
            call.fate = Fate::Counted;
        }
        self.consecutive_failures = 0;
        self.by_calls.clear();
        self.by_time.clear();
        self.slot = None;
        if self.state != state {
            self.state = state;
            self.last_transition = Some(self.now);
            self.totals.transitions += 1;
        }
    }

    /// Counts the failed recoveries of the circuit among those of the outage, which it keeps if they are reset.
    pub(super) fn update_outage(&mut self) {
        if let Some(outage) = &mut self.outage {
            outage.failed_recoveries = outage.failed_recoveries.max(self.failed_recoveries);
            outage.lasted = Duration::from_micros(self.now - outage.since);
        }
    }

    fn take_permit(&mut self) {
        if self.trials.taken == self.trials.succeeded + self.trials.failed {
            self.trials.oldest = self.now;
        }
        self.trials.taken += 1;
    }

    /// Returns the duration of the open state after the present number of failed recoveries.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "recovery timeouts in these tests are minutes"
    )]
    fn open_duration(&self) -> u64 {
        let Config { recovery, factor, max_recovery, .. } = self.config;
        let mut open_duration = recovery as f64;
        for _ in 0..self.failed_recoveries {
            open_duration = (open_duration * factor).min(max_recovery as f64);
        }
        open_duration as u64
    }

    fn open_left(&self) -> u64 {
        let (since, until) = self.opened;
        until.unwrap_or(since + self.open_duration()).saturating_sub(self.now)
    }

    fn trial_timeout_left(&self) -> u64 {
        (self.trials.oldest + self.open_duration()).saturating_sub(self.now)
    }

    fn override_left(&self) -> Option<u64> {
        self.until.map(|until| until.saturating_sub(self.now))
    }
}

impl Config {
    fn threshold(&self) -> Option<u32> {
        match self.policy {
            Policy::Consecutive(threshold) => Some(threshold),
            _ => self.threshold,
        }
    }

    fn needed_successes(&self) -> u32 {
        self.successes.min(self.trials)
    }

    fn slow_call(&self) -> Option<u64> {
        match self.policy {
            Policy::Consecutive(_) => None,
            _ => self.slow_call,
        }
    }

    fn is_timed(&self) -> bool {
        self.slow_call().is_some() || self.hung_call.is_some() || self.cancelled_call.is_some()
    }
}
