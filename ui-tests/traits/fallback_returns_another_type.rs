use steadfast::fallback;

#[fallback(cached)]
fn read() -> Option<u8> {
    None
}

fn cached() -> Option<u16> {
    None
}

fn main() {}
