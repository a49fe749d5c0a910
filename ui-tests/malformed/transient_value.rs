use steadfast::Transient;

#[derive(Debug, Transient)]
enum Error {
    #[transient(inherit = false)]
    Connection(std::io::Error),
    #[transient(no_effect(true))]
    Busy,
}

fn main() {}
