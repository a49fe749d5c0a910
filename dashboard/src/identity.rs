//! The default title and the default name of the instance.

use std::{env, fs, path::Path, process};

/// The suffix that Linux adds to the path of a program whose file has been replaced.
const DELETED: &str = " (deleted)";

/// Returns the name of the program's file without its extension.
pub(crate) fn default_title() -> String {
    let path = env::current_exe().ok().or_else(|| env::args_os().next().map(Into::into));
    path.as_deref().and_then(program_name).unwrap_or_else(|| "Circuit breakers".to_owned())
}

/// Returns the name of the host and the process id: `web-3 (pid 4121)`.
pub(crate) fn default_instance() -> String {
    instance_name(host_name().as_deref(), process::id())
}

fn program_name(path: &Path) -> Option<String> {
    let file = path.file_name()?.to_string_lossy();
    let file = file.strip_suffix(DELETED).unwrap_or(&file);
    let stem = file.strip_suffix(env::consts::EXE_SUFFIX).unwrap_or(file);
    (!stem.is_empty()).then(|| stem.to_owned())
}

/// Containers and shells set `HOSTNAME`, Windows `COMPUTERNAME`; Linux has a file.
fn host_name() -> Option<String> {
    let from_environment = ["HOSTNAME", "COMPUTERNAME"].into_iter().filter_map(|name| env::var(name).ok());
    let from_file = || fs::read_to_string("/proc/sys/kernel/hostname").ok();
    from_environment.chain(from_file()).map(|name| name.trim().to_owned()).find(|name| !name.is_empty())
}

fn instance_name(host: Option<&str>, process: u32) -> String {
    host.map_or_else(|| format!("pid {process}"), |host| format!("{host} (pid {process})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_title_is_the_name_of_the_file() {
        for (path, title) in [
            ("/usr/bin/checkout", Some("checkout")),
            ("target/debug/checkout.v2", Some("checkout.v2")),
            ("/srv/checkout (deleted)", Some("checkout")),
            ("/", None),
            ("", None),
        ] {
            assert_eq!(program_name(Path::new(path)).as_deref(), title, "{path:?}");
        }
        assert!(!default_title().is_empty());
    }

    #[test]
    fn the_instance_is_the_host_and_the_process() {
        assert_eq!(instance_name(Some("web-3"), 4_121), "web-3 (pid 4121)");
        assert_eq!(instance_name(None, 4_121), "pid 4121");
        assert!(default_instance().contains(&process::id().to_string()));
    }
}
