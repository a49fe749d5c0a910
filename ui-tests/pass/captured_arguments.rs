//! Arguments that are captured or bound again draw no warning that the plain function does not draw.
#![deny(warnings, unused)]
#![allow(dead_code)]

use std::{cell::Cell, io, sync::Mutex};

use steadfast::{bulkhead, circuit_breaker, fallback, rate_limit, retry, timeout};

struct Noisy(String);

impl Drop for Noisy {
    fn drop(&mut self) {}
}

struct Pair {
    a: String,
    b: String,
}

macro_rules! shapes { ($name:ident: $(#[$a:meta])*) => {
    mod $name {
        use super::*;
        $(#[$a])* pub(super) fn unused(_a: Noisy, _: Noisy, b: &str) -> io::Result<usize> { Ok(b.len()) }
        $(#[$a])* pub(super) fn changed(mut a: String, b: Noisy) -> io::Result<String> { a.push_str(&b.0); Ok(a) }
        $(#[$a])* pub(super) fn apart(Pair { a, .. }: Pair, (b, _): (Noisy, u8), ref c: Noisy) -> io::Result<usize> { Ok(a.len() + b.0.len() + c.0.len()) }
        $(#[$a])* pub(super) fn locked(state: Mutex<u8>, (_a, _): (Noisy, u8)) -> io::Result<u8> { Ok(*state.lock().unwrap()) }
        $(#[$a])* pub(super) fn locked_last((_a, _): (Noisy, u8), state: Mutex<u8>) -> io::Result<u8> { Ok(*state.lock().unwrap()) }
        $(#[$a])* pub(super) async fn locked_last_async((_a, _): (Noisy, u8), state: Mutex<u8>) -> io::Result<u8> { std::future::ready(()).await; Ok(*state.lock().unwrap()) }
        $(#[$a])* pub(super) fn diverges(mut a: String) -> io::Result<u8> { a.push('x'); if a.is_empty() { return Ok(1); } panic!("{a}") }
        $(#[$a])* pub(super) fn counted(n: u32, flag: bool, order: String) -> io::Result<String> { if flag { return Ok(order); } Ok(format!("{n}{order}")) }
        $(#[$a])* pub(super) async fn unused_async(_a: Noisy, _: Noisy, b: &str) -> io::Result<usize> { std::future::ready(()).await; Ok(b.len()) }
        $(#[$a])* pub(super) async fn changed_async(mut a: String, b: Noisy) -> io::Result<String> { a.push_str(&b.0); std::future::ready(()).await; Ok(a) }
        $(#[$a])* pub(super) async fn apart_async(Pair { a, .. }: Pair, (b, _): (Noisy, u8)) -> io::Result<usize> { std::future::ready(()).await; Ok(a.len() + b.0.len()) }
        $(#[$a])* pub(super) async fn locked_async(state: Mutex<u8>, (_a, _): (Noisy, u8)) -> io::Result<u8> { std::future::ready(()).await; Ok(*state.lock().unwrap()) }
        $(#[$a])* pub(super) async fn cell(cell: Cell<u8>, log: &mut Vec<u8>) -> io::Result<u8> { std::future::ready(()).await; Ok(cell.get() + u8::try_from(log.len()).unwrap_or(0)) }
        $(#[$a])* pub(super) async fn generic<T: AsRef<str> + Send>(text: T, call: impl Fn() -> u8 + Send) -> io::Result<usize> { std::future::ready(()).await; Ok(text.as_ref().len() + usize::from(call())) }
        pub(super) struct Client(String);
        impl Client {
            $(#[$a])* async fn by_value(self, a: Noisy) -> io::Result<usize> { std::future::ready(()).await; Ok(self.0.len() + a.0.len()) }
            $(#[$a])* fn by_value_sync(self, (a, _): (Noisy, u8)) -> io::Result<usize> { Ok(self.0.len() + a.0.len()) }
            $(#[$a])* async fn by_mut(&mut self, a: Noisy) -> io::Result<&str> { std::future::ready(()).await; self.0.push_str(&a.0); Ok(&self.0) }
        }
    }
} }
shapes!(broken: #[circuit_breaker(name = "lints")]);
shapes!(once: #[retry(max_attempts = 1)]);
shapes!(limited: #[rate_limit(name = "lints", limit = 1, per = 1s)]);
shapes!(bulky: #[bulkhead(name = "lints", max_concurrent = 1)]);
mod rest {
    use super::*;
    #[timeout(1s)] #[retry] pub(super) async fn retried(cell: Cell<u8>, mut text: String, own: String) -> io::Result<usize> { text.push('x'); std::future::ready(()).await; drop(own); Ok(usize::from(cell.get()) + text.len()) }
    #[circuit_breaker(name = "judged", failure_if = |_| cell.get() > 0)] pub(super) async fn judged(cell: Cell<u8>, a: Noisy) -> io::Result<usize> { std::future::ready(()).await; Ok(usize::from(cell.get()) + a.0.len()) }
    #[retry] pub(super) fn retried_sync(mut text: String, own: String, n: u8) -> io::Result<usize> { text.push('x'); drop(own); Ok(text.len() + usize::from(n)) }
    #[retry] pub(super) fn one_receiver(state: Mutex<String>) -> io::Result<usize> { Ok(state.lock().unwrap().len()) }
    #[retry] #[bulkhead(name = "receiver")] pub(super) fn called(op: impl Fn(u8) -> io::Result<u8>, n: u8) -> io::Result<u8> { op(n) }
    #[retry(retry_if = any)] pub(super) fn borrowed<'a>(all: &'a [u8], key: String) -> Result<&'a u8, String> { all.get(key.len()).ok_or_else(|| key.to_string()) }
    #[fallback(cached)] pub(super) async fn with_fallback(text: String, cell: Cell<u8>) -> io::Result<usize> { std::future::ready(()).await; Ok(text.len() + usize::from(cell.get())) }
    async fn cached(text: String, cell: Cell<u8>) -> io::Result<usize> { std::future::ready(()).await; Ok(text.len() + usize::from(cell.get())) }
}

fn main() {
    _ = Pair { a: String::new(), b: String::new() }.b;
}
