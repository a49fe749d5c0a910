//! Cache lines that threads share: counted in a trace of all memory accesses, and a model of the time that they cost with more threads than
//! this machine has cores.
//!
//! A run under valgrind's lackey makes calls of each contestant in two threads, one after the other, so that each access in the trace belongs to
//! a known thread and call. A line is shared if one thread writes it and the other reads or writes it. The calls do not overlap,
//! so waiting for a lock and repeated attempts of compare-and-swap are not counted.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{BufRead, BufReader},
    path::Path,
    process::Command,
    ptr,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Instant,
};

use anyhow::{Context, Result, anyhow, ensure};
use tokio::runtime::Handle;

use crate::{contestant::Contestant, timing::to_f64};

/// The shared cache lines of a contestant's call, on average.
#[derive(Clone, Copy, Debug)]
pub struct SharedLines {
    /// The number of lines that a call reads or writes.
    pub touched: f64,
    /// The number of lines that a call writes.
    pub written: f64,
    /// The number of accesses of a call to the line that most calls access: 1 if there is a line that every call needs.
    pub busiest: f64,
}

/// A machine of the model.
#[derive(Clone, Copy, Debug)]
pub struct Machine {
    /// The number of threads, each on a hardware thread of its own.
    pub threads: u32,
    /// The time in nanoseconds of the transfer of a line from one core to another.
    pub transfer: f64,
}

/// The transfer of a line between cores of an Ice Lake server with 32 cores (64 hardware threads) in a socket, and between the sockets
/// of a machine with two. <https://github.com/nviennot/core-to-core-latency>, Intel Xeon Platinum 8375C.
const WITHIN_A_SOCKET: f64 = 51.0;
const BETWEEN_SOCKETS: f64 = 108.0;

/// The machines of the model: one socket, and two, where every second transfer is between sockets.
pub const MACHINES: [Machine; 2] = [
    Machine { threads: 64, transfer: WITHIN_A_SOCKET },
    Machine { threads: 128, transfer: f64::midpoint(WITHIN_A_SOCKET, BETWEEN_SOCKETS) },
];

impl SharedLines {
    /// Models the core time in nanoseconds of a call that takes `alone` with one thread. A call waits for the transfer of each shared line, and
    /// calls that access the same line follow one another at the rate of transfers.
    #[must_use]
    pub fn core_time(&self, alone: f64, machine: Machine) -> f64 {
        let in_turn = f64::from(machine.threads) * self.busiest * machine.transfer;
        (alone + self.touched * machine.transfer).max(in_turn)
    }
}

/// The size of a cache line in bytes.
const LINE: u64 = 64;
const THREADS: usize = 2;
/// The number of traced calls for each thread and contestant.
const CALLS: u64 = 32;
/// A store to one of these words is a mark in the trace: the start of a call in the first or the second
/// thread, the end of a call, and the end of a contestant.
static MARKS: [AtomicU64; 4] = [const { AtomicU64::new(0) }; 4];
const END_OF_CALL: usize = THREADS;
const END_OF_CONTESTANT: usize = THREADS + 1;

fn mark(kind: usize) {
    // ORDERING: Relaxed: only the trace shows the store.
    MARKS[kind].store(1, Ordering::Relaxed);
}

/// Makes the calls that are traced, and prints the address of the marks. Must be called in a tokio runtime.
pub fn make_calls(contestants: &[Contestant]) -> Result<()> {
    println!("{}", ptr::from_ref(&MARKS).addr());
    // Under lackey, a call takes about a millisecond.
    let warm_up = |contestant: &Contestant| contestant.warm_up(20);
    let traced = |contestant: &Contestant, thread| {
        for number in 0..CALLS {
            mark(thread);
            let tally = contestant.call(number..number + 1);
            mark(END_OF_CALL);
            contestant.check(tally, &(number..number + 1))?;
        }
        anyhow::Ok(())
    };
    let runtime = Handle::current();
    for contestant in contestants {
        warm_up(contestant)?;
        let second = || {
            let _context = runtime.enter();
            warm_up(contestant)?;
            traced(contestant, 1)
        };
        let made = thread::scope(|scope| scope.spawn(second).join());
        made.map_err(|_| anyhow!("{} has panicked", contestant.name))??;
        traced(contestant, 0)?;
        mark(END_OF_CONTESTANT);
    }
    Ok(())
}

/// Runs `program`, which must call [`make_calls`], under valgrind. Returns the shared lines of each contestant, in order.
pub fn trace(program: &Path, arguments: &[&str], scratch: &Path) -> Result<Vec<SharedLines>> {
    fs::create_dir_all(scratch)?;
    let file = scratch.join("lackey.out");
    let output = Command::new("valgrind")
        .args(["--tool=lackey", "--quiet", "--basic-counts=no", "--trace-mem=yes"])
        .arg(format!("--log-file={}", file.display()))
        .arg(program)
        .args(arguments)
        .output()
        .context("valgrind could not be run: `cargo xtask` installs it, or apt-get install valgrind")?;
    ensure!(output.status.success(), "under valgrind: {}", String::from_utf8_lossy(&output.stderr));
    let marks = String::from_utf8(output.stdout)?.trim().parse().context("the address of the marks")?;
    let lines = parse(BufReader::new(File::open(&file)?), marks)?;
    // It has hundreds of megabytes.
    fs::remove_file(&file)?;
    Ok(lines)
}

/// The cache lines that a call accesses; true if it writes the line.
type Lines = HashMap<u64, bool>;

/// Parses lackey's format: a letter for the kind of access (`L`oad, `S`tore, `M`odify, or `I`nstruction), the address and the size.
fn parse(trace: impl BufRead, marks: u64) -> Result<Vec<SharedLines>> {
    let mut contestants = Vec::new();
    let mut calls: [Vec<Lines>; THREADS] = [const { Vec::new() }; THREADS];
    let mut thread = None;
    for line in trace.lines() {
        let line = line?;
        let Some((kind, access)) =
            line.trim_start().split_once(' ').filter(|(kind, _)| matches!(*kind, "L" | "S" | "M"))
        else {
            continue;
        };
        let (address, size) = access.trim_start().split_once(',').context("an address and a size")?;
        let (address, size) = (u64::from_str_radix(address, 16)?, size.parse::<u64>()?);
        match usize::try_from(address.wrapping_sub(marks) / 8)? {
            END_OF_CALL => thread = None,
            END_OF_CONTESTANT => contestants.push(shared_lines(&std::mem::take(&mut calls))),
            mark if mark < THREADS => {
                calls[mark].push(Lines::new());
                thread = Some(mark);
            }
            _ => {
                let Some(lines) = thread.and_then(|thread: usize| calls[thread].last_mut()) else { continue };
                for line in address / LINE..=(address + size - 1) / LINE {
                    *lines.entry(line).or_default() |= kind != "L";
                }
            }
        }
    }
    ensure!(!contestants.is_empty(), "lackey has traced no call");
    Ok(contestants)
}

fn shared_lines(calls: &[Vec<Lines>; THREADS]) -> SharedLines {
    let all = calls.each_ref().map(|calls| {
        let mut all = Lines::new();
        for (line, written) in calls.iter().flatten() {
            *all.entry(*line).or_default() |= written;
        }
        all
    });
    let is_shared = |line: &u64| match all.each_ref().map(|lines| lines.get(line)) {
        [Some(first), Some(second)] => *first || *second,
        _ => false,
    };
    let (mut touched, mut written, mut visits) = (0, 0, HashMap::<u64, u64>::new());
    for (line, is_written) in calls.iter().flatten().flatten().filter(|(line, _)| is_shared(line)) {
        touched += 1;
        written += u64::from(*is_written);
        *visits.entry(*line).or_default() += 1;
    }
    let per_call = |count: u64| to_f64(count) / to_f64(CALLS * THREADS as u64);
    let busiest = visits.into_values().max().unwrap_or_default();
    SharedLines { touched: per_call(touched), written: per_call(written), busiest: per_call(busiest) }
}

/// Measures the time in nanoseconds of the transfer of a line between two cores of this machine: two threads increment a number in turn.
/// Returns the shortest of many measurements, since other processes can only lengthen them.
#[must_use]
pub fn transfer() -> f64 {
    const MEASUREMENTS: u64 = 300;
    const TURNS: u64 = 1_000;
    let number = AtomicU64::new(0);
    let take_turn = |turn: u64| {
        // ORDERING: Relaxed: the time of the transfer is measured, and no other memory is published.
        while number.load(Ordering::Relaxed) != turn {
            std::hint::spin_loop();
        }
        number.store(turn + 1, Ordering::Relaxed);
    };
    let shortest = thread::scope(|scope| {
        scope.spawn(|| (0..MEASUREMENTS * TURNS).skip(1).step_by(2).for_each(take_turn));
        let measurements = (0..MEASUREMENTS).map(|index| {
            let start = Instant::now();
            (index * TURNS..(index + 1) * TURNS).step_by(2).for_each(take_turn);
            start.elapsed()
        });
        measurements.min().unwrap_or_default()
    });
    shortest.as_secs_f64() * 1e9 / to_f64(TURNS)
}
