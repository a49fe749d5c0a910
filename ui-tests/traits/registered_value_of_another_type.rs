static LIMIT: u32 = 3;
steadfast::register!(LIMIT);

fn main() {}
