use steadfast::fallback;

#[fallback(cached)]
fn read(path: &str, length: usize) -> Option<u8> {
    path.bytes().nth(length)
}

fn cached(path: &str) -> Option<u8> {
    path.bytes().next()
}

fn main() {}
