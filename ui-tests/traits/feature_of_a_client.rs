use steadfast::retry;

// Stands for the crate.
mod reqwest {
    pub struct Error;

    pub type Result<T> = std::result::Result<T, Error>;
}

#[retry]
fn by_name() -> Result<u8, reqwest::Error> {
    Ok(1)
}

#[retry]
async fn by_alias() -> reqwest::Result<u8> {
    Ok(1)
}

fn main() {}
