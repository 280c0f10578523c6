//! How many connections this process can hold.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Open files that are not clients' connections: the pool at its largest is 1,000, but each of its
/// connections is opened on demand; this is for a usual one, logs, timers and the listener.
const OTHER_FILES: u64 = 64;

/// At most `wanted` connections, and fewer if the system allows fewer open files. The soft limit
/// is raised to the hard one first.
pub(super) fn connections(wanted: usize) -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        limit.current = limit.maximum;
        if let Err(error) = setrlimit(Resource::Nofile, limit) {
            tracing::debug!(%error, "the limit of open files stays");
            limit = getrlimit(Resource::Nofile);
        }
    }
    let possible = within(wanted, limit.current);
    if possible < wanted {
        tracing::warn!(wanted, possible, "the limit of open files allows fewer connections");
    }
    possible
}

fn within(wanted: usize, files: Option<u64>) -> usize {
    let Some(files) = files else { return wanted };
    let left = usize::try_from(files.saturating_sub(OTHER_FILES)).unwrap_or(usize::MAX);
    wanted.min(left).max(1)
}

#[cfg(test)]
mod tests {
    use super::within;

    #[test]
    fn open_files_bound_connections() {
        assert_eq!(within(2048, None), 2048);
        assert_eq!(within(2048, Some(20_000)), 2048);
        assert_eq!(within(2048, Some(1024)), 960);
        assert_eq!(within(2048, Some(10)), 1);
    }
}
