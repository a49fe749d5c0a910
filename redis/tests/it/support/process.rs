//! The process side of an instance: executes commands from standard input, and prints replies and events to standard output.

use std::{
    env,
    io::{self, Write},
    process,
    sync::atomic::Ordering,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use steadfast::{
    BreakerConfig, BreakerState, CircuitBreaker,
    events::{self, Event},
};
use steadfast_redis::Fleet;

use super::{
    instance::{BREAKER, LINE_MARK, RATE_LIMIT_SCRIPT, SETTINGS_VARIABLE},
    load::Load,
};

/// The entry point of the processes that other tests start; not a test itself.
#[test]
#[ignore = "started by other tests"]
fn process() {
    run_if_started_as_instance();
}

/// Runs this process as an instance if it was started as one, and returns true when the instance has stopped. Otherwise returns false.
pub(crate) fn run_if_started_as_instance() -> bool {
    let settings = env::var(SETTINGS_VARIABLE);
    if let Ok(settings) = &settings {
        run(settings);
    }
    settings.is_ok()
}

#[allow(clippy::too_many_lines, reason = "a list of commands")]
fn run(settings: &str) {
    let fields: Vec<_> = settings.split('|').collect();
    let [address, application, quorum, recovery, lease, timeout, heartbeat, more, service] = fields[..] else {
        panic!("{settings}")
    };
    let millis = |text: &str| Duration::from_millis(text.parse().unwrap());
    let config = BreakerConfig::new().failure_threshold(3).recovery_timeout(millis(recovery)).half_open_max_calls(3);
    let leak = |name: &str| -> &'static CircuitBreaker {
        Box::leak(Box::new(CircuitBreaker::new(name.to_owned().leak(), config)))
    };
    let breaker = leak(BREAKER);
    let more: Vec<_> = (0..more.parse().unwrap()).map(|number| leak(&format!("other {number}"))).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let _entered = runtime.enter();
    events::subscribe(|event| {
        if let Event::StateChanged { breaker: BREAKER, to, .. } = event {
            let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros();
            print_line(&format!("state {at} {to}"));
        }
    })
    .forever();
    let nodes: Vec<_> = address.split(',').collect();
    let builder = if nodes.len() > 1 { Fleet::connect_cluster(nodes) } else { Fleet::connect(address) };
    let mut builder = builder
        .application(application)
        .quorum(quorum.parse().unwrap())
        .lease(millis(lease))
        .timeout(millis(timeout))
        .heartbeat(millis(heartbeat))
        .share(breaker)
        .on_event(|event| print_line(&format!("fleet {event}")));
    for breaker in &more {
        builder = builder.share(*breaker);
    }
    let fleet = builder.start().unwrap();
    runtime.block_on(fleet.available());
    print_line("ready");
    let load = Load::new(breaker, service.parse().ok());
    let trip = |breaker: &CircuitBreaker| {
        for _ in 0..3 {
            _ = breaker.call(|| Err::<(), _>(io::Error::from(io::ErrorKind::TimedOut)));
        }
    };
    for line in io::stdin().lines().map_while(Result::ok) {
        let words: Vec<_> = line.split(' ').collect();
        match words[..] {
            ["trip"] => trip(breaker),
            ["trip-more"] => more.iter().for_each(|breaker| trip(breaker)),
            ["open-more"] => {
                print_line(&format!(
                    "open-more {}",
                    more.iter().filter(|breaker| breaker.state() == BreakerState::Open).count()
                ));
            }
            ["trip-other", number] => trip(more[number.parse::<usize>().unwrap()]),
            ["state-of-other", number] => {
                print_line(&format!("state-of-other {}", more[number.parse::<usize>().unwrap()].state()));
            }
            ["call"] => _ = breaker.call(|| Ok::<_, io::Error>(())),
            ["name"] => print_line(&format!("name {}", fleet.instance())),
            // True if the next call would be a trial call.
            ["next-is-trial"] => {
                let snapshot = breaker.snapshot();
                let is_trial = snapshot.state == BreakerState::HalfOpen || snapshot.open_for == Some(Duration::ZERO);
                print_line(&format!("next-is-trial {is_trial}"));
            }
            ["rejected"] => print_line(&format!("rejected {}", breaker.snapshot().rejections)),
            ["calls"] => print_line(&format!("calls {}", load.calls.load(Ordering::Relaxed))),
            ["current-state"] => print_line(&format!("current-state {}", breaker.state())),
            ["round-trips"] => print_line(&format!("round-trips {}", fleet.round_trips())),
            ["instances"] => print_line(&format!("instances {}", fleet.instances())),
            // Number of calling threads, and milliseconds between two calls of a thread.
            ["load", threads, pause] => load.start(threads.parse().unwrap(), pause.parse().unwrap()),
            ["stop-load"] => print_line(&format!("stop-load {}", load.stop())),
            ["hammer", limit, micros, lasts] => {
                print_line(&format!("hammer {}", hammer(address, limit, micros, millis(lasts))));
            }
            ["stop"] => break,
            _ => panic!("{line}"),
        }
    }
    runtime.block_on(fleet.stop());
}

fn print_line(line: &str) {
    let mut out = io::stdout().lock();
    _ = writeln!(out, "{LINE_MARK}{line}");
    _ = out.flush();
}

/// Requests admissions under a rate limit as fast as possible. Returns the number of requests and the Redis times of the admissions.
fn hammer(address: &str, limit: &str, micros: &str, lasts: Duration) -> String {
    let script = redis::Script::new(RATE_LIMIT_SCRIPT);
    let mut connection = redis::Client::open(address).unwrap().get_connection().unwrap();
    let (begun, mut admitted, mut calls) = (Instant::now(), Vec::new(), 0_u32);
    while begun.elapsed() < lasts {
        calls += 1;
        let mut call = script.key("hammered");
        call.arg("window").arg(limit).arg(micros).arg(format!("{}-{calls}", process::id()));
        let (is_admitted, _, now): (bool, u64, u64) = call.invoke(&mut connection).unwrap();
        if is_admitted {
            admitted.push(now.to_string());
        }
    }
    format!("{calls} {}", admitted.join(","))
}
