use steadfast::{rate_limit, timeout};

struct Page;

#[rate_limit(name = "pages", limit = 1, per = 1s)]
fn read() -> Page {
    Page
}

#[timeout(2s)]
async fn fetch() -> (u16, String) {
    (200, String::new())
}

fn main() {}
