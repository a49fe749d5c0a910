use std::io;

use steadfast::retry;

struct Client(String);

impl Client {
    #[retry]
    fn reload(&mut self) -> io::Result<&str> {
        self.0.push('x');
        Ok(&self.0)
    }

    #[retry]
    async fn reload_async(&mut self) -> io::Result<std::str::Chars<'_>> {
        Ok(self.0.chars())
    }
}

fn main() {}
