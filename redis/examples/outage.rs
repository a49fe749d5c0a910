//! Five processes call one service, which fails for a while and comes back.
//!
//! `cargo run -p steadfast-redis --example outage -- redis://127.0.0.1`

use std::{
    env,
    error::Error,
    io,
    process::{Child, Command},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use steadfast::{
    BreakerState, circuit_breaker,
    events::{self, Event},
};
use steadfast_redis::{Fleet, FleetEvent};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{Instant, sleep},
};

const INSTANCES: u32 = 5;

#[circuit_breaker(name = "payments", failure_threshold = 3, recovery_timeout = 2s, half_open_max_calls = 3)]
async fn pay(service: &str) -> io::Result<()> {
    let is_trial = steadfast::breaker("payments").is_some_and(|breaker| breaker.state() == BreakerState::HalfOpen);
    let mut stream = TcpStream::connect(service).await?;
    stream.write_all(&[u8::from(is_trial)]).await?;
    match stream.read_u8().await? {
        0 => Ok(()),
        _ => Err(io::Error::other("the service is down")),
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    match &arguments[..] {
        [redis] => outage(redis).await,
        [redis, service, number] => instance(redis, service, number).await,
        _ => Err("give the address of a Redis, such as redis://127.0.0.1".into()),
    }
}

/// One of the processes.
async fn instance(redis: &str, service: &str, number: &str) -> Result<(), Box<dyn Error>> {
    let name = format!("instance {number}");
    let tell = move |event: &Event| {
        if matches!(event, Event::StateChanged { .. }) {
            println!("{name}: {event}");
        }
    };
    events::subscribe(tell).forever();
    let fleet = Fleet::connect(redis).application("outage").instance(number).share_all().start()?;
    fleet.available().await;
    loop {
        // What comes of it, the breaker counts.
        _ = pay(service).await;
        sleep(Duration::from_millis(20)).await;
    }
}

/// What the service has seen.
#[derive(Default)]
struct Seen {
    is_down: AtomicBool,
    calls: AtomicU32,
    trials: AtomicU32,
}

/// The service, and the processes that call it.
async fn outage(redis: &str) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let (service, seen) = (listener.local_addr()?.to_string(), Arc::new(Seen::default()));
    tokio::spawn(serve(listener, seen.clone()));
    // Tells what happens to the fleet, and when.
    let start = Instant::now();
    let tell = move |event: &FleetEvent| println!("{:>5.2} s  {event}", start.elapsed().as_secs_f64());
    let breaker = steadfast::breaker("payments");
    let fleet = Fleet::connect(redis).application("outage").share(breaker).on_event(tell).start()?;
    let program = env::current_exe()?;
    let start_one = |number: u32| Command::new(&program).args([redis, &service, &number.to_string()]).spawn();
    let instances: Vec<Child> = (1..=INSTANCES).map(start_one).collect::<Result<_, _>>()?;
    sleep(Duration::from_secs(2)).await;
    println!("{:>5.2} s  the service fails; {} instances live", start.elapsed().as_secs_f64(), fleet.instances());
    seen.is_down.store(true, Ordering::Relaxed);
    let before = seen.calls.load(Ordering::Relaxed);
    sleep(Duration::from_secs(7)).await;
    let calls = seen.calls.load(Ordering::Relaxed) - before;
    println!("{:>5.2} s  the service is well; it has seen {calls} calls since", start.elapsed().as_secs_f64());
    seen.is_down.store(false, Ordering::Relaxed);
    sleep(Duration::from_secs(4)).await;
    println!("trial calls in all, by {INSTANCES} instances: {}", seen.trials.load(Ordering::Relaxed));
    for mut instance in instances {
        instance.kill()?;
        instance.wait()?;
    }
    fleet.stop().await;
    Ok(())
}

async fn serve(listener: TcpListener, seen: Arc<Seen>) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let seen = seen.clone();
        tokio::spawn(async move {
            let Ok(is_trial) = stream.read_u8().await else { return };
            seen.calls.fetch_add(1, Ordering::Relaxed);
            seen.trials.fetch_add(is_trial.into(), Ordering::Relaxed);
            _ = stream.write_all(&[u8::from(seen.is_down.load(Ordering::Relaxed))]).await;
        });
    }
}
