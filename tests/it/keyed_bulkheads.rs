//! Bulkheads per key, the bound on the queue, and owned permits.

use std::{
    future::Future,
    io,
    pin::pin,
    sync::{Arc, mpsc},
    task::{Context, Waker},
    thread,
    time::Duration,
};

use steadfast::{
    Bulkhead, BulkheadConfig, BulkheadFull, BulkheadPermit, KeyedBulkheads, OwnedBulkheadPermit, all_keyed_bulkheads,
    blind_spots, bulkhead, bulkheads, keyed_bulkheads, prometheus::SteadfastCollector, register,
};
use tokio::{
    sync::Notify,
    task::yield_now,
    time::{Instant, timeout},
};

const SECOND: Duration = Duration::from_secs(1);

#[bulkhead(name = "one for each host", max_concurrent = 1, key = host)]
async fn fetch(host: &str, until: &Notify) -> Result<usize, BulkheadFull> {
    until.notified().await;
    Ok(host.len())
}

#[tokio::test]
async fn a_full_key_does_not_affect_the_others() {
    let hosts = keyed_bulkheads("one for each host").unwrap();
    let until = Arc::new(Notify::new());
    let call = |host: &'static str| {
        let until = until.clone();
        tokio::spawn(async move { fetch(host, &until).await })
    };
    let calls = [call("a.example.org"), call("b.example.org")];
    yield_now().await;
    assert_eq!((hosts.len(), hosts.iter().map(|host| host.in_flight()).sum::<u32>()), (2, 2));
    let error = fetch("a.example.org", &until).await.unwrap_err();
    assert_eq!(error.to_string(), "bulkhead `one for each host` for `a.example.org` is full (max_concurrent = 1)");
    assert_eq!((error.name(), error.key(), error.is_overflow()), ("one for each host", Some("a.example.org"), false));
    let host = hosts.get("a.example.org").unwrap();
    assert_eq!((host.name(), host.key(), host.is_overflow()), ("one for each host", "a.example.org", false));
    let text = "one for each host[a.example.org]: 1 of 1 in flight, 0 waiting; 1 admitted, 1 rejected";
    assert_eq!(host.to_string(), text);
    let text = "one for each host: 2 of 10000 keys, 2 full; 2 in flight, 0 waiting; 2 admitted, 1 rejected";
    assert_eq!(hosts.to_string(), text);
    assert_eq!(hosts.most_rejected(5).iter().map(|host| host.key().to_owned()).collect::<Vec<_>>(), ["a.example.org"]);
    assert!(hosts.get("c.example.org").is_none() && !hosts.is_empty());

    until.notify_waiters();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    let snapshot = hosts.snapshot();
    assert_eq!((snapshot.full, snapshot.in_flight, snapshot.keys), (0, 0, 2));
    let json = serde_json::to_value(&snapshot).unwrap();
    assert_eq!((&json["max_keys"], &json["admitted"]), (&10_000.into(), &2.into()));

    assert!(all_keyed_bulkheads().iter().any(|other| std::ptr::eq(*other, hosts)));
    assert!(bulkhead("one for each host").is_none());
    assert!(bulkheads().iter().all(|other| other.name() != "one for each host"));
    assert!(blind_spots().iter().any(|spot| spot.name == "one for each host" && spot.kind == "bulkhead"));
}

#[test]
fn metrics_have_the_totals_of_all_keys_and_the_keys_that_reject_most() {
    static SHARDS: KeyedBulkheads = KeyedBulkheads::new("shards in metrics", BulkheadConfig::new().max_concurrent(1));
    register!(SHARDS);
    let first = SHARDS.bulkhead("first").try_acquire_owned().unwrap();
    for shard in ["first", "second"] {
        _ = SHARDS.bulkhead(shard).try_acquire();
    }
    let lines = crate::support::scrape(SteadfastCollector::new(), "bulkhead=\"shards in metrics\"");
    for expected in [
        "bulkhead_calls_total{outcome=\"admitted\",} 2",
        "bulkhead_calls_total{outcome=\"rejected\",} 1",
        "bulkhead_in_flight{} 1",
        "bulkhead_keys{state=\"free\",} 1",
        "bulkhead_keys{state=\"full\",} 1",
        "bulkhead_key_rejections_total{key=\"first\",} 1",
    ] {
        let flat = |line: &str| line.replace(['{', '}', ','], " ").split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(lines.iter().any(|line| flat(line).ends_with(&flat(expected))), "{expected}: {lines:#?}");
    }
    drop(first);
}

#[test]
fn a_bulkhead_in_use_is_not_evicted() {
    let events = crate::collect_events("`two keys`");
    let keys = KeyedBulkheads::new("two keys", BulkheadConfig::new().max_concurrent(1)).max_keys(2);
    let of_first = keys.bulkhead("first").try_acquire_owned().unwrap();
    drop(keys.bulkhead("second").try_acquire().unwrap());
    drop(keys.bulkhead("third").try_acquire().unwrap());
    assert!(keys.get("first").is_some() && keys.get("second").is_none() && keys.overflow().is_none());

    let of_third = keys.bulkhead("third").try_acquire_owned().unwrap();
    let of_fourth = keys.bulkhead("fourth").try_acquire_owned().unwrap();
    let overflow = keys.overflow().unwrap();
    assert!(overflow.is_overflow() && overflow.in_flight() == 1 && overflow.key().is_empty());
    let error = keys.bulkhead("fifth").try_acquire().unwrap_err();
    assert_eq!(error.to_string(), "bulkhead `two keys` for all other keys is full (max_concurrent = 1)");
    assert!(error.is_overflow() && error.key().is_none());
    assert_eq!(
        events.texts(),
        [
            "bulkhead `two keys`: `max_keys = 2` is reached; new keys share one bulkhead",
            "bulkhead `two keys` for all other keys: full (max_concurrent = 1)"
        ]
    );
    drop((of_first, of_third, of_fourth, overflow));
    drop(keys.bulkhead("fourth").try_acquire().unwrap());
    assert!(keys.get("fourth").is_some(), "the others are idle");
    let snapshot = keys.snapshot();
    assert_eq!((snapshot.keys, snapshot.admitted, snapshot.rejected), (2, 6, 1), "evicted keys are included");
}

#[tokio::test(start_paused = true)]
async fn a_bulkhead_with_a_waiter_is_not_evicted() {
    let keys =
        KeyedBulkheads::new("waiting keys", BulkheadConfig::new().max_concurrent(1).max_wait(SECOND)).max_keys(1);
    let first = keys.bulkhead("first");
    let _held = first.try_acquire().unwrap();
    let mut waiter = pin!(first.acquire_async());
    assert!(waiter.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    assert!(keys.bulkhead("second").is_overflow());
}

#[test]
fn settings_apply_to_all_keys() {
    let declared = BulkheadConfig::new().max_concurrent(1);
    let tenants = KeyedBulkheads::new("reconfigured tenants", declared);
    let ada = tenants.bulkhead("ada");
    let _held = ada.try_acquire().unwrap();
    ada.try_acquire().unwrap_err();
    tenants.reconfigure(declared.max_concurrent(2));
    let second = ada.try_acquire().unwrap();
    let _of_grace = tenants.bulkhead("grace").try_acquire_many_owned(2).unwrap();
    tenants.reset_config();
    drop(second);
    ada.try_acquire().unwrap_err();
    assert_eq!(tenants.config(), declared);
}

static OWN: KeyedBulkheads = KeyedBulkheads::new("own keyed bulkheads", BulkheadConfig::new().max_concurrent(1));

#[bulkhead(bulkhead = OWN, key = format!("{host}:{port}"))]
fn own(host: &str, port: u16, inner: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    let _ = (host, port);
    inner()
}

#[bulkhead(name = "of generic keys", max_concurrent = 1, key = key, max_keys = 2)]
fn generic<K: std::fmt::Display + Copy>(key: K) -> Option<K> {
    keyed_bulkheads("of generic keys").unwrap().bulkhead(&key).try_acquire().err()?;
    Some(key)
}

#[test]
fn a_key_selects_one_of_the_bulkheads_of_a_static_or_a_name() {
    own("example.org", 80, || {
        assert!(own("example.org", 80, || Ok(())).is_err());
        own("example.org", 443, || Ok(()))
    })
    .unwrap();
    assert_eq!(OWN.len(), 2);
    assert!(std::ptr::eq(keyed_bulkheads("own keyed bulkheads").unwrap(), &raw const OWN));
    assert_eq!((generic(1), generic("one")), (Some(1), Some("one")));
    assert_eq!(keyed_bulkheads("of generic keys").unwrap().snapshot().max_keys, 2);
}

#[bulkhead(name = "short queue", max_concurrent = 1, max_wait = 10s, max_queue = 2)]
async fn short_queue() -> Result<(), BulkheadFull> {
    tokio::time::sleep(SECOND).await;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_call_that_finds_a_full_queue_is_rejected_at_once() {
    let shared = bulkhead("short queue").unwrap();
    let events = crate::collect_events("`short queue`");
    let calls: Vec<_> = (0..3).map(|_| tokio::spawn(short_queue())).collect();
    yield_now().await;
    let start = Instant::now();
    let error = short_queue().await.unwrap_err();
    assert_eq!(start.elapsed(), Duration::ZERO);
    let full = "full (max_concurrent = 1), and its queue is full, too (max_queue = 2)";
    assert_eq!(error.to_string(), format!("bulkhead `short queue` is {full}"));
    assert_eq!((error.max_queue(), error.waited()), (Some(2), None));
    assert_eq!(events.texts(), [format!("bulkhead `short queue`: {full}")]);
    let expected = "short queue: 1 of 1 in flight, 2 of 2 waiting; 1 admitted, 1 rejected";
    assert_eq!(shared.to_string(), expected);

    // A longer queue applies to later calls. A shorter one leaves the waiters where they are.
    shared.reconfigure(shared.config().max_queue(3));
    let late = tokio::spawn(short_queue());
    yield_now().await;
    assert_eq!(shared.waiting(), 3);
    shared.reconfigure(shared.config().max_queue(1));
    assert_eq!(short_queue().await.unwrap_err().max_queue(), Some(1));
    for call in calls.into_iter().chain([late]) {
        call.await.unwrap().unwrap();
    }
    assert_eq!(start.elapsed(), SECOND * 4);
    shared.reset_config();
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_gives_up_leaves_room_in_the_queue() {
    let gate = Bulkhead::new("room", BulkheadConfig::new().max_concurrent(1).max_wait(SECOND).max_queue(1));
    let _held = gate.try_acquire().unwrap();
    let context = &mut Context::from_waker(Waker::noop());
    for _ in 0..3 {
        let mut waiter = Box::pin(gate.acquire_async());
        assert!(waiter.as_mut().poll(context).is_pending());
        assert!(gate.acquire().is_err_and(|error| error.max_queue() == Some(1)));
    }
    assert_eq!(gate.waiting(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_thread_that_finds_a_full_queue_does_not_wait() {
    let start = Instant::now();
    let gate = Bulkhead::new("threads", BulkheadConfig::new().max_concurrent(1).max_wait(SECOND).max_queue(1));
    let _held = gate.try_acquire().unwrap();
    let mut waiter = pin!(gate.acquire_async());
    assert!(waiter.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    assert!(gate.acquire().is_err_and(|error| error.waited().is_none()));
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[test]
fn an_owned_permit_moves_to_another_thread() {
    fn is_static<T: Send + 'static>(value: T) -> T {
        value
    }
    static GATE: Bulkhead = Bulkhead::new("static gate", BulkheadConfig::new().max_concurrent(2));
    let shared = Arc::new(Bulkhead::new("shared gate", BulkheadConfig::new().max_concurrent(2)));
    let hosts = KeyedBulkheads::new("keyed gate", BulkheadConfig::new().max_concurrent(2));
    let of_static: BulkheadPermit<'static> = is_static(GATE.try_acquire_many(2).unwrap());
    let owned: OwnedBulkheadPermit = is_static(shared.try_acquire_owned().unwrap());
    let second = shared.acquire_owned().unwrap();
    let of_key = is_static(hosts.bulkhead("a").acquire_many_owned(2).unwrap());
    assert!(shared.try_acquire_owned().is_err() && hosts.bulkhead("a").try_acquire_many_owned(1).is_err());
    assert_eq!((owned.permits(), of_key.permits(), of_static.permits()), (1, 2, 2));
    assert_eq!(format!("{owned:?}"), "OwnedBulkheadPermit { bulkhead: \"shared gate\", permits: 1, .. }");
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let (owned, of_key, of_static) = receiver.recv().unwrap();
        drop((owned, of_key, of_static));
    });
    sender.send((owned, of_key, of_static)).unwrap();
    crate::support::wait_until(|| GATE.in_flight() == 0 && hosts.bulkhead("a").in_flight() == 0);
    drop(second);
    assert_eq!(shared.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_owned_permit_is_awaited_in_another_task() {
    let gate = Arc::new(Bulkhead::new("awaited", BulkheadConfig::new().max_concurrent(1).max_wait(SECOND)));
    let held = gate.acquire_owned_async().await.unwrap();
    let waiting = tokio::spawn(gate.acquire_owned_async());
    let heavy = tokio::spawn(gate.acquire_many_owned_async(2));
    assert!(heavy.await.unwrap().is_err_and(|error| error.exceeds_limit()));
    assert_eq!(gate.waiting(), 1);
    drop(held);
    let permit = waiting.await.unwrap().unwrap();
    // A future that is dropped leaves the queue.
    assert!(timeout(SECOND / 2, gate.acquire_owned_async()).await.is_err());
    assert_eq!(gate.waiting(), 0);
    drop(permit);
    assert_eq!(gate.in_flight(), 0);
}
