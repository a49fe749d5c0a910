//! The option `permits` on functions of all kinds.

#![deny(warnings, clippy::pedantic)]
#![allow(dead_code, clippy::missing_errors_doc)]

use std::io;

use steadfast::{bulkhead, rate_limit, retry};

#[retry(retry_if = any)]
#[rate_limit(name = "rows", limit = 100, per = 1s, max_wait = 1s, permits = rows.len())]
#[bulkhead(name = "rows", max_concurrent = 10, max_wait = 1s, max_queue = 5, key = table, permits = 1 + u8::from(is_large))]
async fn insert(table: &str, rows: Vec<u8>, is_large: bool) -> io::Result<usize> {
    let _ = (table, is_large);
    Ok(rows.into_iter().count())
}

#[rate_limit(name = "batches", limit = 100, per = 1s, algorithm = gcra, burst = 20, key = id, permits = N)]
#[bulkhead(name = "first", max_concurrent = 10, permits = 2usize)]
#[bulkhead(name = "second", max_concurrent = 20)]
fn batch<T: std::fmt::Display, const N: usize>(id: T, items: &mut [T; N]) -> Option<&mut T> {
    let _ = id;
    items.first_mut()
}

struct Client {
    weight: u32,
}

impl Client {
    #[rate_limit(name = "of a client", limit = 100, per = 1s, permits = self.weight)]
    #[bulkhead(name = "of a client", max_concurrent = 100, permits = Self::WEIGHT)]
    async fn call(&mut self) -> io::Result<()> {
        self.weight += 1;
        Ok(())
    }

    const WEIGHT: u64 = 2;
}

fn main() {}
