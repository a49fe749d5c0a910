//! Five processes call one service, which is down for a while and recovers.
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
        _ => Err("usage: outage <Redis address, such as redis://127.0.0.1>".into()),
    }
}

/// Runs one of the processes.
async fn instance(redis: &str, service: &str, number: &str) -> Result<(), Box<dyn Error>> {
    let name = format!("instance {number}");
    let print = move |event: &Event| {
        if matches!(event, Event::StateChanged { .. }) {
            println!("{name}: {event}");
        }
    };
    events::subscribe(print).forever();
    let fleet = Fleet::connect(redis).application("outage").instance(number).share_all().start()?;
    fleet.available().await;
    loop {
        // The breaker records the outcome.
        _ = pay(service).await;
        sleep(Duration::from_millis(20)).await;
    }
}

/// The state and the statistics of the service.
#[derive(Default)]
struct Service {
    is_down: AtomicBool,
    calls: AtomicU32,
    trials: AtomicU32,
}

/// Runs the service and starts the processes that call it.
async fn outage(redis: &str) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let (address, service) = (listener.local_addr()?.to_string(), Arc::new(Service::default()));
    tokio::spawn(serve(listener, service.clone()));
    // Shares the breaker, too, to print the fleet's events with their times.
    let start = Instant::now();
    let print = move |event: &FleetEvent| println!("{:>5.2} s  {event}", start.elapsed().as_secs_f64());
    let breaker = steadfast::breaker("payments");
    let fleet = Fleet::connect(redis).application("outage").share(breaker).on_event(print).start()?;
    let program = env::current_exe()?;
    let start_one = |number: u32| Command::new(&program).args([redis, &address, &number.to_string()]).spawn();
    let instances: Vec<Child> = (1..=INSTANCES).map(start_one).collect::<Result<_, _>>()?;
    sleep(Duration::from_secs(2)).await;
    println!(
        "{:>5.2} s  the service goes down; {} instances are live",
        start.elapsed().as_secs_f64(),
        fleet.instances()
    );
    service.is_down.store(true, Ordering::Relaxed);
    let before = service.calls.load(Ordering::Relaxed);
    sleep(Duration::from_secs(7)).await;
    let calls = service.calls.load(Ordering::Relaxed) - before;
    println!("{:>5.2} s  the service recovers; it received {calls} calls while down", start.elapsed().as_secs_f64());
    service.is_down.store(false, Ordering::Relaxed);
    sleep(Duration::from_secs(4)).await;
    println!("trial calls of all {INSTANCES} instances: {}", service.trials.load(Ordering::Relaxed));
    for mut instance in instances {
        instance.kill()?;
        instance.wait()?;
    }
    fleet.stop().await;
    Ok(())
}

async fn serve(listener: TcpListener, service: Arc<Service>) {
    while let Ok((mut stream, _)) = listener.accept().await {
        let service = service.clone();
        tokio::spawn(async move {
            let Ok(is_trial) = stream.read_u8().await else { return };
            service.calls.fetch_add(1, Ordering::Relaxed);
            service.trials.fetch_add(is_trial.into(), Ordering::Relaxed);
            _ = stream.write_all(&[u8::from(service.is_down.load(Ordering::Relaxed))]).await;
        });
    }
}
