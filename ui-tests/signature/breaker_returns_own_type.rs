use steadfast::circuit_breaker;

struct Page;

#[circuit_breaker(name = "disk")]
fn read() -> Page {
    Page
}

fn main() {}
