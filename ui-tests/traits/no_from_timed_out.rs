use steadfast::timeout;

#[derive(Debug)]
enum Error {
    Broken,
}

#[timeout(2s)]
async fn send() -> Result<(), Error> {
    Err(Error::Broken)
}

fn main() {}
