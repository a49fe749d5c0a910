use steadfast::fallback;

#[fallback(cached)]
fn read() -> Option<u8> {
    None
}

async fn cached() -> Option<u8> {
    None
}

fn main() {}
