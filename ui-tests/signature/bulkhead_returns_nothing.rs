use steadfast::bulkhead;

#[bulkhead(name = "mail")]
fn send() {}

fn main() {}
