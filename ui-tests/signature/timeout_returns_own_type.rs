use steadfast::timeout;

struct Page;

#[timeout(2s)]
async fn send() -> Page {
    Page
}

fn main() {}
