use steadfast::retry;

struct Page;

#[retry]
fn read() -> Page {
    Page
}

fn main() {}
