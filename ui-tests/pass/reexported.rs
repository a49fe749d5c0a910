//! Attributes that are re-exported by another module, on functions with the same name in several modules.
#![deny(warnings)]

mod toolbox {
    pub mod resilience {
        pub use steadfast::{circuit_breaker as guarded_by, retry, *};
    }
}

mod one {
    #[crate::toolbox::resilience::retry]
    #[crate::toolbox::resilience::circuit_breaker(name = "one")]
    pub fn call() -> std::io::Result<u8> {
        Ok(1)
    }
}

mod two {
    use crate::toolbox::resilience::{guarded_by, retry};

    // An attribute without siblings works under any name.
    #[guarded_by(name = "two")]
    pub fn call() -> std::io::Result<u8> {
        again()
    }

    #[retry]
    fn again() -> std::io::Result<u8> {
        Ok(2)
    }
}

fn main() {
    assert_eq!(one::call().unwrap() + two::call().unwrap(), 3);
}
