use std::io;
#[steadfast::timeout(2s)]
#[steadfast::retry(max_attempts = 3)]
#[steadfast::timeout(5s)]
async fn fetch() -> io::Result<()> {
    Ok(())
}

#[steadfast::timeout(1s)]
#[steadfast::timeout(1000ms)]
async fn send() -> io::Result<()> {
    Ok(())
}

fn main() {}
