use steadfast::retry;

#[retry]
fn read() {}

fn main() {}
