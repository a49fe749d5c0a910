use std::io;

use steadfast::{bulkhead, retry};

struct Request(String);

impl Request {
    fn send(self) -> io::Result<usize> {
        Ok(self.0.len())
    }
}

#[retry]
fn send(request: Request) -> io::Result<usize> {
    request.send()
}

#[retry]
#[bulkhead(name = "disk")]
fn read(path: Option<String>) -> io::Result<usize> {
    Ok(path.map(|path| path.len()).unwrap_or_default())
}

fn main() {}
