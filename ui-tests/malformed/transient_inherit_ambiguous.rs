use steadfast::Transient;

#[derive(Debug, Transient)]
enum Error {
    #[transient(inherit)]
    Busy { code: u8, text: String },
}

fn main() {}
