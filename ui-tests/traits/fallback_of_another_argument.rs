use steadfast::fallback;

#[fallback(cached)]
fn read(path: &str) -> Option<u8> {
    path.bytes().next()
}

fn cached(number: u8) -> Option<u8> {
    Some(number)
}

fn main() {}
