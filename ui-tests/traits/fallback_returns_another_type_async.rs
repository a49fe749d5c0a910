use steadfast::fallback;

#[fallback(cached)]
async fn read() -> Option<u8> {
    None
}

async fn cached() -> Option<u16> {
    None
}

fn main() {}
