use steadfast::retry;

#[retry]
struct Page;

fn main() {}
