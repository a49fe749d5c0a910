use steadfast::Error;

#[derive(Debug)]
struct Declined;

fn charge() -> Result<(), Error<Declined>> {
    Err(Declined)?
}

fn main() {}
