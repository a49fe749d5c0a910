use steadfast::fallback;

#[fallback(cached)]
fn read() -> u8 {
    1
}

fn cached() -> u8 {
    2
}

fn main() {}
