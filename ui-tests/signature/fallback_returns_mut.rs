use steadfast::fallback;

#[fallback(last)]
fn first(items: &mut Vec<u8>) -> Option<&mut u8> {
    items.first_mut()
}

fn last(items: &mut Vec<u8>) -> Option<&mut u8> {
    items.last_mut()
}

fn main() {}
