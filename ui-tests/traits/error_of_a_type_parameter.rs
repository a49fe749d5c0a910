use steadfast::{retry, timeout};

trait Client {
    type Error;

    async fn get(&self) -> Result<u8, Self::Error>;
}

#[timeout(10s)]
#[retry]
async fn read<C: Client>(client: &C) -> Result<u8, C::Error> {
    client.get().await
}

fn main() {}
