use steadfast::fallback;

#[fallback(|_| None)]
fn first(items: &mut Vec<u8>) -> Option<&mut u8> {
    items.first_mut()
}

fn main() {}
