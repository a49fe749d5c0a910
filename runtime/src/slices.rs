//! The lists that the linker collects from the whole program.
//!
//! **Invariant:** the name of each list contains the names of the crate and its version. linkme names the section of a list after the
//! identifier alone, so two lists with the same identifier would be merged, even across crates. The lists of different versions of this
//! crate must be separate.

/// Declares lists under their full names, and re-exports them under the short names that this crate and generated code use.
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
        #[test]
        fn slices_are_named_after_the_version() {
            let version = env!("CARGO_PKG_VERSION").replace(|c: char| !c.is_ascii_alphanumeric(), "_").to_uppercase();
            for [short, full] in [$([stringify!($short), stringify!($full)]),*] {
                assert_eq!(full, format!("STEADFAST_{version}_{short}"));
            }
        }
    };
}

pub(crate) use slices;

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    #[test]
    fn every_list_is_declared_by_the_macro() {
        fn declaring(folder: &Path, found: &mut Vec<String>) {
            for path in fs::read_dir(folder).expect("the sources are readable").flatten().map(|entry| entry.path()) {
                if path.is_dir() {
                    declaring(&path, found);
                } else if fs::read_to_string(&path)
                    .is_ok_and(|text| text.contains(concat!("#[linkme::", "distributed_slice]")))
                {
                    found.push(path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default());
                }
            }
        }
        let mut found = Vec::new();
        declaring(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
        assert_eq!(found, ["slices.rs"]);
    }
}
