use steadfast::retry;

trait Read {
    #[retry]
    fn read(&self) -> Result<u8, std::io::Error>;
}

fn main() {}
