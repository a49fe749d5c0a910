use steadfast::fallback;

struct Letter;

#[fallback(keep)]
fn send(letter: Letter) -> Option<u8> {
    drop(letter);
    None
}

fn keep(_: Letter) -> Option<u8> {
    None
}

fn main() {}
