//! The lists that the linker gathers from the whole program.
//!
//! **Invariant:** each list has the crate and its version in its name. linkme puts a list into a section that is named after the
//! identifier alone, so that two lists of one name are one section wherever they are declared: the lists of another version of this
//! crate must not meet these, and neither must those that the program declares for itself.

#[cfg(feature = "keyed")]
use crate::KeyedRateLimits;
use crate::{
    Bulkhead, RateLimit,
    registry::{Declaration, Declared, Registered},
    retry::named::NamedPolicy,
    transient::Find,
};

/// Declares a list under its full name, and the short name by which this crate and its attributes use it.
macro_rules! slices {
    ($($(#[$meta:meta])* $short:ident = $full:ident: [$element:ty];)*) => {
        $(
            $(#[$meta])*
            #[linkme::distributed_slice]
            pub static $full: [$element];
            $(#[$meta])*
            pub use $full as $short;
        )*

        #[cfg(test)]
        const NAMES: &[[&str; 2]] = &[$([stringify!($short), stringify!($full)]),*];
    };
}

slices! {
    /// Every place that declares a circuit breaker.
    DECLARATIONS = STEADFAST_0_1_0_DECLARATIONS: [&'static Declaration];
    /// Every static that `register!` lists.
    REGISTERED = STEADFAST_0_1_0_REGISTERED: [Registered];
    /// Every place that declares a bulkhead.
    BULKHEADS = STEADFAST_0_1_0_BULKHEADS: [&'static Declared<Bulkhead>];
    /// Every place that declares a rate limit.
    RATE_LIMITS = STEADFAST_0_1_0_RATE_LIMITS: [&'static Declared<RateLimit>];
    /// Every place that declares a rate limit for each key.
    #[cfg(feature = "keyed")]
    KEYED_RATE_LIMITS = STEADFAST_0_1_0_KEYED_RATE_LIMITS: [&'static Declared<KeyedRateLimits>];
    /// Every named retry policy; several may have one name.
    POLICIES = STEADFAST_0_1_0_POLICIES: [&'static NamedPolicy];
    /// Every type that derives `Transient` and is an error.
    KNOWN = STEADFAST_0_1_0_KNOWN: [Find];
}

#[cfg(test)]
mod tests {
    use super::NAMES;

    #[test]
    fn each_list_is_named_after_the_version_of_the_crate() {
        let version = env!("CARGO_PKG_VERSION").replace(|c: char| !c.is_ascii_alphanumeric(), "_").to_uppercase();
        for [short, full] in NAMES {
            assert_eq!(*full, format!("STEADFAST_{version}_{short}"));
        }
    }

    #[test]
    fn no_list_is_declared_elsewhere() {
        fn sources(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
            let entries = std::fs::read_dir(folder).expect("the sources are here").flatten().map(|entry| entry.path());
            entries.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] }).collect()
        }
        let attribute = concat!("#[linkme::", "distributed_slice]");
        let declaring: Vec<_> = sources(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src"))
            .into_iter()
            .filter(|path| std::fs::read_to_string(path).expect("it is text").contains(attribute))
            .map(|path| path.file_name().map(|name| name.to_string_lossy().into_owned()))
            .collect();
        assert_eq!(declaring, [Some("slices.rs".to_owned())]);
    }
}
