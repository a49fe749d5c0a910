use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

const SECOND: u64 = 1_000_000;
const START: u64 = 1 << 40;

fn at(micros: u64) -> Moment {
    Moment::from_micros(micros)
}

/// Creates an account that is credited at [`START`].
fn account(income: Income) -> Account {
    let mut account = Account::new();
    account.credit(income, 0, at(START));
    account
}

fn drain(account: &mut Account) -> u64 {
    let mut drained = 0;
    while account.withdraw() {
        drained += 1;
    }
    drained
}

#[test]
fn a_ratio_is_exact_to_its_last_digit() {
    for (ratio, parts) in [
        (0.0, 0),
        (1e-12, 1),
        (0.000_4, 400_000_000),
        (0.2, 200_000_000_000),
        (1.0 / 3.0, 333_333_333_334),
        (1.0, 1_000_000_000_000),
    ] {
        assert_eq!(Income::new(ratio, 0).per_call, parts, "{ratio}");
    }
    for ratio in 0..=1_000_u32 {
        let per_call = Income::new(f64::from(ratio) / 1_000.0, 0).per_call;
        assert!(per_call.abs_diff(u64::from(ratio) * 1_000_000_000) <= 1, "{ratio}: {per_call}");
    }
}

#[test]
fn the_reserve_does_not_depend_on_how_often_it_is_credited() {
    for (per_second, every, credits) in [
        (10, 55, 20_000),
        (1, 400, 10_000),
        (1_000, 1, 10_000),
        (300, 7, 20_000),
        (1, 999_999, 40),
        (100, 250_000, 120),
        (7, 3_333_333, 18),
        (100_000, 1, 10_000),
    ] {
        let income = Income::new(0.0, per_second);
        let mut account = account(income);
        assert_eq!(drain(&mut account), 10 * u64::from(per_second), "full at first");
        let mut granted = 0;
        for credit in 1..=credits {
            account.credit(income, 0, at(START + credit * every));
            granted += drain(&mut account);
        }
        let due = credits * every * u64::from(per_second) / SECOND;
        assert_eq!(granted, due, "{per_second} a second, credited every {every} us");
    }
}

#[test]
fn small_deposits_add_up_at_any_rate() {
    for (ratio, every) in
        [(0.000_4, 0), (0.000_4, 3), (0.000_4, 400), (0.000_4, 10_000), (0.000_4, SECOND), (0.01, 20 * SECOND)]
    {
        let income = Income::new(ratio, 0);
        let (mut account, mut granted) = (account(income), 0);
        for call in 1..=10_000 {
            account.credit(income, call, at(START + call * every));
            granted += drain(&mut account);
        }
        let due = if ratio < 0.01 { 4 } else { 100 };
        assert_eq!(granted, due, "{ratio} of a call every {every} us");
    }
}

#[test]
fn deposits_expire_within_a_lifetime() {
    let income = Income::new(0.2, 0);
    // Calls per second, seconds with calls, seconds without; the balance afterwards is between `least` and `most`.
    for (rate, seconds, idle, least, most) in [
        (100, 3_600, 0, 195, 200),
        (100, 3_600, 5, 95, 100),
        (100, 3_600, 10, 0, 0),
        (100, 7, 0, 140, 140),
        (1, 365 * 86_400, 0, 1, 2),
        (1_000_000, 86_400, 0, 1_950_000, 2_000_000),
        (1_000_000, 86_400, 3_600, 0, 0),
    ] {
        let mut account = account(income);
        account.credit(income, rate * seconds, at(START + seconds * SECOND));
        account.credit(income, rate * seconds, at(START + (seconds + idle) * SECOND));
        let left = account.balance();
        assert!((least..=most).contains(&left), "{left} left of {rate} a second for {seconds} s, {idle} s ago");
    }
}

#[test]
fn spreading_a_deposit_loses_nothing() {
    for (amount, start, end) in [
        (1, 0, 1),
        (7, 3, PERIOD + 1),
        (PARTS_PER_RETRY, 17, 5 * PERIOD),
        (u128::from(u64::MAX) * PARTS_PER_RETRY, PERIOD - 1, LIFETIME - 1),
        (10 * PARTS_PER_RETRY + 3, 1, LIFETIME - PERIOD),
        (999, u64::MAX - 3 * PERIOD, u64::MAX),
    ] {
        let mut account = Account::new();
        account.deposit(amount, start, end);
        assert_eq!(account.parts(), amount, "{amount} from {start} to {end}");
    }
    // Of the part before the window, only the fraction of a retry is kept.
    let mut account = Account::new();
    account.deposit(1_000 * PARTS_PER_RETRY, 0, 100 * LIFETIME - 1);
    assert_eq!(account.balance(), 10);
    account.deposit(u128::from(u64::MAX) * PARTS_PER_RETRY, 0, u64::MAX);
    assert!(account.balance() < 10_000_020, "one per microsecond for ten seconds");
}

#[test]
fn nothing_overflows_at_the_ends() {
    let income = Income::new(1.0, u32::MAX);
    let mut account = Account::new();
    account.credit(income, u64::MAX, at(0));
    assert_eq!(account.balance(), u64::MAX);
    account.credit(income, u64::MAX, at(u64::MAX));
    assert_eq!(account.balance(), 10 * u64::from(u32::MAX));
    account.credit(income, 0, at(0));
    assert_eq!((account.credited_to(), account.calls()), (Some(at(u64::MAX)), u64::MAX));
    account.refund();
    assert!(account.withdraw());
    let mut account = Account::started(income, 0, at(u64::MAX));
    account.credit(income, u64::MAX, at(u64::MAX));
    assert_eq!(account.balance(), u64::MAX);
}

/// A reference implementation of the same rules with a separate entry for each deposit.
struct Reference {
    income: Income,
    deposits: VecDeque<(u64, u128)>,
    fraction: u128,
    reserve: u128,
    now: u64,
}

impl Reference {
    fn new(income: Income) -> Self {
        Self { income, deposits: VecDeque::new(), fraction: 0, reserve: income.of_time(LIFETIME), now: START }
    }

    fn pass(&mut self, micros: u64) {
        self.now += micros;
        self.reserve = (self.reserve + income_of(self.income, micros)).min(self.income.of_time(LIFETIME));
        while let Some((made, parts)) = self.deposits.front().copied()
            && self.now / PERIOD - made / PERIOD >= PERIODS as u64
        {
            self.fraction = (self.fraction + parts) % PARTS_PER_RETRY;
            self.deposits.pop_front();
        }
    }

    fn calls(&mut self, calls: u8) {
        self.deposits.push_back((self.now, self.income.of_calls(calls.into())));
    }

    fn parts(&self) -> u128 {
        self.fraction + self.reserve + self.deposits.iter().map(|(_, parts)| parts).sum::<u128>()
    }

    fn withdraw(&mut self) -> bool {
        if self.parts() < PARTS_PER_RETRY {
            return false;
        }
        let mut due = PARTS_PER_RETRY;
        let deposits = self.deposits.iter_mut().map(|(_, parts)| parts);
        for part in [&mut self.fraction].into_iter().chain(deposits).chain([&mut self.reserve]) {
            let taken = due.min(*part);
            *part -= taken;
            due -= taken;
        }
        true
    }
}

fn income_of(income: Income, micros: u64) -> u128 {
    u128::from(income.per_second) * u128::from(micros) * 1_000_000
}

#[derive(Clone, Debug)]
enum Step {
    Pass(u64),
    Calls(u8),
    Withdraw(u8),
    Refund,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (0..1_000_u64).prop_map(Step::Pass),
        (0..2 * SECOND).prop_map(Step::Pass),
        (0..30 * SECOND).prop_map(Step::Pass),
        (0..30_u8).prop_map(Step::Calls),
        (0..20_u8).prop_map(Step::Withdraw),
        Just(Step::Refund),
    ];
    prop::collection::vec(step, 0..50)
}

proptest! {
    #[test]
    fn it_behaves_like_the_reference(ratio in 0.0..=1.0_f64, per_second in 0..5_u32, steps in steps()) {
        let income = Income::new(ratio, per_second);
        let (mut account, mut reference, mut calls) = (account(income), Reference::new(income), 0);
        for step in steps {
            match step {
                Step::Pass(micros) => reference.pass(micros),
                Step::Calls(more) => {
                    calls += u64::from(more);
                    reference.calls(more);
                }
                Step::Withdraw(times) => {
                    for _ in 0..times {
                        prop_assert_eq!(account.withdraw(), reference.withdraw());
                    }
                }
                Step::Refund => {
                    account.refund();
                    reference.deposits.push_back((reference.now, PARTS_PER_RETRY));
                }
            }
            account.credit(income, calls, at(reference.now));
            prop_assert_eq!(account.parts(), reference.parts());
        }
    }

    #[test]
    fn withdrawals_never_exceed_deposits_and_gains(
        ratio in 0.0..=1.0_f64,
        per_second in 0..3_u32,
        steps in prop::collection::vec((0..20 * SECOND, 0..50_u64), 1..30),
    ) {
        let income = Income::new(ratio, per_second);
        let (mut account, mut now, mut calls, mut granted) = (account(income), START, 0, 0);
        for (micros, more) in steps {
            let before = account.parts();
            now += micros;
            calls += more;
            account.credit(income, calls, at(now));
            prop_assert!(account.parts() <= before + income.of_calls(more) + income_of(income, micros));
            granted += drain(&mut account);
            let due = income.of_calls(calls) + income_of(income, now - START) + income.of_time(LIFETIME);
            prop_assert!(u128::from(granted) * PARTS_PER_RETRY <= due);
        }
    }
}
