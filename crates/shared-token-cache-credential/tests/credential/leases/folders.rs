//! Where the leases are, and that there are none where no folder will do.

use test_support::logs;

use super::super::rerun::{is_rerun, rerun_as_ordinary_user, set_mode};
use super::super::workers::below;
use super::super::{Stage, ask};
use super::{another, expired};

/// The events about leases that there are not.
fn missing_leases(stage: &Stage) -> usize {
    let lines = stage.watch.lines();
    let is_one = |line: &&logs::Line| line.text.contains("no lease");
    let found: Vec<_> = lines.iter().filter(is_one).collect();
    assert!(found.iter().all(|line| line.level == tracing::Level::DEBUG));
    found.len()
}

/// Asks once, then again, in a folder to which the cache belongs or, when it is read-only, nobody
/// writes; how many events tell of a missing lease.
fn ask_where_leases_are_odd(is_read_only: bool) -> usize {
    let stage = Stage::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache");
    expired(&stage).write_to(&path);
    set_mode(folder.path(), if is_read_only { 0o500 } else { 0o700 });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let credential = another(&stage, &path);
        let first = ask(&credential).await.unwrap();
        let again = ask(&credential).await.unwrap();
        assert_eq!(first.token().expose_secret(), again.token().expose_secret());
        credential.close().await.unwrap();
        let written = std::fs::read_to_string(&path).unwrap();
        let is_stored = written.contains(first.token().expose_secret());
        assert_eq!(is_stored, !is_read_only);
    });
    assert_eq!(stage.entra.request_count(), 1);
    assert_eq!(below(folder.path()), [path]);
    let warnings = usize::from(is_read_only);
    assert_eq!(stage.warnings(""), warnings);
    set_mode(folder.path(), 0o700);
    missing_leases(&stage)
}

#[test]
fn beside_a_cache_in_a_read_only_folder_there_are_no_leases() {
    if is_rerun() {
        assert_eq!(ask_where_leases_are_odd(true), 1);
        return;
    }
    let test =
        "credential::leases::folders::beside_a_cache_in_a_read_only_folder_there_are_no_leases";
    rerun_as_ordinary_user(test, |command| {
        command.env_remove("XDG_RUNTIME_DIR");
    });
}

#[test]
fn in_somebody_elses_runtime_folder_there_are_no_leases() {
    if is_rerun() {
        assert_eq!(ask_where_leases_are_odd(false), 1);
        return;
    }
    let test = "credential::leases::folders::in_somebody_elses_runtime_folder_there_are_no_leases";
    rerun_as_ordinary_user(test, |command| {
        // The system's.
        command.env("XDG_RUNTIME_DIR", "/usr");
    });
}

#[test]
fn without_the_runtime_folder_leases_are_beside_the_cache() {
    if is_rerun() {
        assert_eq!(ask_where_leases_are_odd(false), 0);
        return;
    }
    let test =
        "credential::leases::folders::without_the_runtime_folder_leases_are_beside_the_cache";
    rerun_as_ordinary_user(test, |command| {
        command.env("XDG_RUNTIME_DIR", "/no/such/folder");
    });
}
