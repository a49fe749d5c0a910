use steadfast::circuit_breaker;

struct Page;

#[circuit_breaker(name = "disk")]
async fn read() -> Page {
    Page
}

fn main() {}
