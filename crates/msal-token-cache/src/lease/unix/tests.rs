#![expect(
    clippy::disallowed_methods,
    reason = "tests play others, who go through no door"
)]

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, chown, symlink};

use super::*;

const NOBODY: u32 = 65_534;

/// The name of a lease.
fn lease_name(n: usize) -> String {
    format!("{n:032x}.lease")
}

fn take(folder: &Path) -> io::Result<Option<LeaseFile>> {
    LeaseFile::take(folder, &lease_name(0))
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[test]
fn a_folder_that_others_can_write_to_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("leases");
    std::fs::create_dir(&folder).unwrap();
    for mode in [0o777, 0o770, 0o1777] {
        std::fs::set_permissions(&folder, Permissions::from_mode(mode)).unwrap();
        assert!(take(&folder).is_err(), "{mode:o}");
    }
    let link = place.path().join("link");
    symlink(place.path(), &link).unwrap();
    assert!(take(&link).is_err());
    let missing = place.path().join("missing").join("leases");
    assert!(take(&missing).is_err());
}

#[test]
fn below_a_folder_that_others_can_write_to_there_are_no_leases() {
    let place = tempfile::tempdir().unwrap();
    let open = place.path().join("open");
    let private = open.join("private");
    std::fs::create_dir_all(&private).unwrap();
    std::fs::set_permissions(&private, Permissions::from_mode(0o700)).unwrap();
    std::fs::set_permissions(&open, Permissions::from_mode(0o777)).unwrap();
    for folder in [open.join("leases"), private.join("leases")] {
        let error = take(&folder).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{error}");
        assert!(error.to_string().contains("others can write"), "{error}");
        assert!(!folder.exists());
    }
    // As in /tmp, nobody else can take away what is ours.
    std::fs::set_permissions(&open, Permissions::from_mode(0o1777)).unwrap();
    for folder in [open.join("leases"), private.join("leases")] {
        assert!(take(&folder).unwrap().is_some());
        assert!(!folder.exists());
    }
}

/// A link of ours on the way is as good as its target; macOS has such a one for `/tmp`.
#[test]
fn a_link_of_ours_on_the_way_is_followed() {
    let place = tempfile::tempdir().unwrap();
    std::fs::create_dir(place.path().join("real")).unwrap();
    symlink("real", place.path().join("link")).unwrap();
    let folder = place.path().join("link/leases");
    let held = take(&folder).unwrap();
    assert!(held.is_some() && take(&place.path().join("real/leases")).unwrap().is_none());
    symlink("loop", place.path().join("loop")).unwrap();
    assert!(take(&place.path().join("loop/leases")).is_err());
}

#[test]
fn root_leaves_no_lease_in_a_users_folder() {
    if !is_root() {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let (home, link) = (place.path().join("home"), place.path().join("link"));
    let below = home.join("roots");
    std::fs::create_dir_all(&below).unwrap();
    symlink(&below, &link).unwrap();
    std::os::unix::fs::lchown(&link, Some(NOBODY), None).unwrap();
    chown(&home, Some(NOBODY), Some(NOBODY)).unwrap();
    // His folder, one of ours below it, a link of his.
    for folder in [&home, &below, &link] {
        let error = take(&folder.join(".leases")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{error}");
    }
    assert_eq!(names(&home), ["roots"]);
    assert_eq!(names(&below), [""; 0]);
}

#[test]
fn what_dead_holders_left_is_swept_by_the_next_and_nothing_else_is() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("leases");
    let living = LeaseFile::take(&folder, &lease_name(1)).unwrap().unwrap();
    let at = |name: &str| folder.join(name);
    for left in [lease_name(2), lease_name(3).replace('.', "-next.")] {
        std::fs::write(at(&left), "").unwrap();
    }
    // Not ours by name: too short, no hexadecimal digits, or in upper case.
    let mut others = vec![
        "stranger".to_owned(),
        "00.lease".to_owned(),
        format!("{}.lease", "x".repeat(32)),
        format!("{}.lease", "A".repeat(32)),
        format!("{}-other.lease", "a".repeat(32)),
    ];
    for other in &others {
        std::fs::write(at(other), "").unwrap();
    }
    // Nor by what they are: not empty, no file, a link, or with a second name.
    let precious = lease_name(4);
    std::fs::write(at(&precious), "precious").unwrap();
    std::fs::create_dir(at(&lease_name(5))).unwrap();
    symlink(place.path().join("elsewhere"), at(&lease_name(6))).unwrap();
    std::fs::write(at(&lease_name(7)), "").unwrap();
    std::fs::hard_link(at(&lease_name(7)), at("second name")).unwrap();
    others.extend([precious, "second name".to_owned()]);
    others.extend([5, 6, 7].map(lease_name));
    if is_root() {
        std::fs::write(at(&lease_name(8)), "").unwrap();
        chown(at(&lease_name(8)), Some(NOBODY), None).unwrap();
        others.push(lease_name(8));
    }
    let held = LeaseFile::take(&folder, &lease_name(9)).unwrap().unwrap();
    others.extend([lease_name(1), lease_name(9)]);
    others.sort();
    assert_eq!(names(&folder), others);
    drop((living, held));
    others.retain(|name| {
        !["1", "9"]
            .map(|n| lease_name(n.parse().unwrap()))
            .contains(name)
    });
    assert_eq!(names(&folder), others);
}

/// What is no lease is neither taken nor changed.
#[test]
fn what_stands_in_a_leases_place_is_not_touched() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("leases");
    std::fs::create_dir(&folder).unwrap();
    std::fs::set_permissions(&folder, Permissions::from_mode(0o700)).unwrap();
    let path = folder.join(lease_name(0));
    std::fs::write(&path, "precious").unwrap();
    let before = std::fs::metadata(&path).unwrap().modified().unwrap();
    assert!(take(&folder).is_err() && open_held(&path).is_err());
    let after = std::fs::metadata(&path).unwrap().modified().unwrap();
    assert_eq!(before, after);
    assert_eq!(std::fs::read(&path).unwrap(), b"precious");
}

/// The folder is swapped for a link to others' files at any moment, as if that were possible.
#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_is_swapped_for_a_link_costs_nobody_a_file() {
    use std::sync::atomic::{AtomicBool, Ordering};

    use rustix::fs::{CWD, RenameFlags, renameat_with};

    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name);
    let (folder, link, private) = (at("leases"), at("link"), at("private"));
    std::fs::create_dir(&private).unwrap();
    symlink(&private, &link).unwrap();
    for n in 0..200 {
        std::fs::write(private.join(lease_name(1_000_000 + n)), "").unwrap();
    }
    let is_over = AtomicBool::new(false);
    let taken = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                let _ = renameat_with(CWD, &folder, CWD, &link, RenameFlags::EXCHANGE);
            }
        });
        let takes = (0..5_000).map(|n| LeaseFile::take(&folder, &lease_name(n)));
        let taken = takes.filter(|taken| matches!(taken, Ok(Some(_)))).count();
        is_over.store(true, Ordering::Relaxed);
        taken
    });
    assert!(taken > 0);
    assert_eq!(names(&private).len(), 200);
}
