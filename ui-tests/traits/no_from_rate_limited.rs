use steadfast::rate_limit;

#[derive(Debug)]
enum Error {
    Broken,
}

#[rate_limit(name = "mail", limit = 5, per = 1s)]
fn send() -> Result<(), Error> {
    Err(Error::Broken)
}

fn main() {}
