use steadfast::fallback;

#[fallback(|_| 5)]
fn read() -> Option<u8> {
    None
}

fn main() {}
