use steadfast::fallback;

#[fallback(cached)]
fn read((a, _): (u8, u8)) -> Option<u8> {
    Some(a)
}

fn cached(_: (u8, u8)) -> Option<u8> {
    None
}

fn main() {}
