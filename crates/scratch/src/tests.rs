//! What needs no server; servers are started in the crate `tests`.

use super::*;

#[test]
fn kinds_by_name() {
    assert_eq!("docker".parse(), Ok(ServerKind::Docker));
    assert_eq!("".parse(), Ok(ServerKind::Auto));
    assert!("podman".parse::<ServerKind>().unwrap_err().contains("podman"));
}

#[test]
fn only_a_scratch_server_risks_its_data() {
    let mut options = ServerOptions {
        settings: vec![("max_connections".into(), "50".into())],
        ..ServerOptions::default()
    };
    assert!(options.all_settings().contains(&"fsync=off".to_owned()));
    options.data = Some("somewhere".into());
    assert_eq!(options.all_settings(), ["-c", "max_connections=50"]);
}
