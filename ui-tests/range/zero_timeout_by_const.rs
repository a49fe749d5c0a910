use std::{io, pin::Pin, time::Duration};

use steadfast::timeout;

const NOTHING: Duration = Duration::ZERO;

#[timeout(NOTHING)]
async fn send() -> io::Result<()> {
    Ok(())
}

fn main() {
    let _: Pin<Box<dyn Future<Output = io::Result<()>>>> = Box::pin(send());
}
