//! Whatever stands at the path instead of a regular file of ours.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use msal_token_cache::{ErrorKind, FilePersistence, Merged, Persistence, TokenCache};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use token_credential::Secret;

use super::sample::{Place, ROTATED, redeemed, signed_in};

/// Neither reading nor writing waits for anything, and both say what is wrong.
fn is_refused(path: &Path, expected: (ErrorKind, &str)) {
    let begun = Instant::now();
    let read = TokenCache::new(FilePersistence::new(path))
        .snapshot()
        .unwrap_err();
    let locked = FilePersistence::new(path).lock().unwrap_err();
    let saved = FilePersistence::new(path).save(b"{}").unwrap_err();
    let took = begun.elapsed();
    assert!(
        took < Duration::from_millis(100),
        "{} took {took:?}",
        path.display()
    );
    let (kind, why) = expected;
    for error in [read, locked, saved] {
        assert_eq!(error.kind(), kind, "{error}");
        assert!(
            error.to_string().contains(path.to_str().unwrap()),
            "{error}"
        );
        assert!(
            error.to_string().contains(why),
            "{error} does not say {why}"
        );
    }
}

#[test]
fn what_is_no_file_is_neither_read_nor_written() {
    let place = Place::empty();
    mkfifo(&place.path, Mode::S_IRWXU).unwrap();
    is_refused(&place.path, (ErrorKind::Insecure, "a FIFO"));
    is_refused(place.folder(), (ErrorKind::Insecure, "a folder"));
    is_refused(
        Path::new("/dev/zero"),
        (ErrorKind::Insecure, "a device or socket"),
    );

    // A socket cannot even be opened.
    let socket = place.folder().join("socket");
    let _listener = UnixListener::bind(&socket).unwrap();
    let read = FilePersistence::new(&socket).load().unwrap_err();
    assert_eq!(read.kind(), ErrorKind::Io);
    assert_eq!(
        FilePersistence::new(&socket).lock().unwrap_err().kind(),
        ErrorKind::Insecure
    );
}

/// The kernel says of its files that their length is 0, and they are read for all that.
#[cfg(target_os = "linux")]
#[test]
fn what_says_that_it_is_empty_and_is_not_is_no_empty_cache() {
    let path = Path::new("/proc/self/status");
    assert_eq!(fs::metadata(path).unwrap().len(), 0);
    let loaded = FilePersistence::new(path).load().unwrap_err();
    let read = TokenCache::new(FilePersistence::new(path)).snapshot();
    for error in [loaded, read.unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        let text = format!("{} changed while it was read", path.display());
        assert!(error.to_string().contains(&text), "{error}");
    }
}

#[test]
fn a_path_through_a_file_leads_nowhere() {
    let place = Place::signed_in();
    let beyond = FilePersistence::new(place.path.join("cache"));
    assert_eq!(beyond.load().unwrap_err().kind(), ErrorKind::Io);
    assert_eq!(beyond.lock().unwrap_err().kind(), ErrorKind::Io);
}

#[test]
fn a_name_that_is_too_long_is_an_error() {
    let place = Place::empty();
    let cache = FilePersistence::new(place.folder().join("n".repeat(300)));
    assert_eq!(cache.stamp().unwrap_err().kind(), ErrorKind::Io);
    assert_eq!(cache.lock().unwrap_err().kind(), ErrorKind::Io);
}

/// A link to a cache in a folder of its own.
fn linked() -> (Place, Place, PathBuf) {
    let target = Place::signed_in();
    let place = Place::empty();
    symlink(&target.path, &place.path).unwrap();
    let path = place.path.clone();
    (target, place, path)
}

#[test]
fn a_link_of_ours_is_followed_and_stays_a_link() {
    let (target, place, path) = linked();
    let cache = TokenCache::new(FilePersistence::new(&path));
    assert_eq!(cache.snapshot().unwrap().accounts().count(), 1);
    let redemption = redeemed(&signed_in()).with_refresh_token(Secret::new(ROTATED));
    let stored = cache.modify(|transaction| {
        assert_eq!(
            place.names(),
            ["msal.cache.nocae", "msal.cache.nocae.lockfile"]
        );
        transaction.merge(&redemption)
    });
    assert_eq!(stored.unwrap(), Merged::Stored);
    assert_eq!(fs::read_link(&path).unwrap(), target.path);
    let written = String::from_utf8(target.content()).unwrap();
    assert!(written.contains(ROTATED));
    assert_eq!(place.names(), ["msal.cache.nocae"]);
    assert_eq!(target.names(), ["msal.cache.nocae"]);
}

#[test]
fn a_link_is_refused_where_others_could_put_another() {
    for open_folder in [0, 1] {
        let (target, place, path) = linked();
        let folder = [target.folder(), place.folder()][open_folder];
        fs::set_permissions(folder, fs::Permissions::from_mode(0o777)).unwrap();
        is_refused(&path, (ErrorKind::Insecure, "others can write to a folder"));
        // As in /tmp, only who owns a file there can take it away.
        fs::set_permissions(folder, fs::Permissions::from_mode(0o1777)).unwrap();
        assert!(FilePersistence::new(&path).load().unwrap().is_some());
    }
}

#[test]
fn a_link_is_refused_where_others_could_put_another_folder() {
    let (target, place) = (Place::signed_in(), Place::empty());
    let folder = place.folder().join("private");
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
    let link = folder.join("link");
    symlink(&target.path, &link).unwrap();
    assert!(FilePersistence::new(&link).load().unwrap().is_some());
    fs::set_permissions(place.folder(), fs::Permissions::from_mode(0o777)).unwrap();
    is_refused(&link, (ErrorKind::Insecure, "others can write to a folder"));
}

/// Its folder would have to be looked at too, and so on.
#[test]
fn a_link_to_a_link_is_refused() {
    let (target, between, place) = (Place::signed_in(), Place::empty(), Place::empty());
    symlink(&target.path, &between.path).unwrap();
    symlink(&between.path, &place.path).unwrap();
    is_refused(
        &place.path,
        (ErrorKind::Insecure, "its target is a link too"),
    );

    // Also when it is given as seen from its folder.
    let relative = between.folder().join("relative");
    symlink("msal.cache.nocae", &relative).unwrap();
    is_refused(&relative, (ErrorKind::Insecure, "its target is a link too"));
}

#[test]
fn a_link_may_be_given_as_seen_from_its_folder() {
    let place = Place::signed_in();
    let link = place.folder().join("link");
    symlink("msal.cache.nocae", &link).unwrap();
    assert!(FilePersistence::new(&link).load().unwrap().is_some());
}

#[test]
fn a_link_that_leads_nowhere_is_refused() {
    let place = Place::empty();
    symlink(place.folder().join("nothing"), &place.path).unwrap();
    is_refused(
        &place.path,
        (ErrorKind::Insecure, "its target cannot be found"),
    );

    let place = Place::empty();
    symlink(&place.path, &place.path).unwrap();
    let begun = Instant::now();
    let read = place.cache().snapshot().unwrap_err();
    let locked = place.persistence().lock().unwrap_err();
    assert_eq!([read, locked].map(|it| it.kind()), [ErrorKind::Insecure; 2]);
    assert!(begun.elapsed() < Duration::from_millis(100));
}

#[test]
fn a_link_to_what_is_no_file_is_refused() {
    let place = Place::empty();
    let fifo = place.folder().join("fifo");
    mkfifo(&fifo, Mode::S_IRWXU).unwrap();
    symlink(&fifo, &place.path).unwrap();
    let error = place.cache().snapshot().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Insecure, "{error}");
}

/// A lock file that is no file must not be followed, waited for or written to.
#[test]
fn what_stands_in_the_lock_files_place_is_not_touched() {
    type Put = fn(&Path);
    let puts: [(Put, &str); 3] = [
        (|path| mkfifo(path, Mode::S_IRWXU).unwrap(), "a FIFO"),
        (|path| fs::create_dir(path).unwrap(), "a folder"),
        (
            |path| {
                let victim = path.with_file_name("victim");
                fs::write(&victim, "precious").unwrap();
                symlink(victim, path).unwrap();
            },
            "a link",
        ),
    ];
    for (put, what) in puts {
        let place = Place::signed_in();
        put(&place.lock_path());
        let begun = Instant::now();
        let error = place.persistence().lock().unwrap_err();
        assert!(begun.elapsed() < Duration::from_millis(100), "{what}");
        assert_eq!(error.kind(), ErrorKind::Io, "{what}: {error}");
        assert!(
            error
                .to_string()
                .contains(place.lock_path().to_str().unwrap()),
            "{error}"
        );
        assert!(
            fs::symlink_metadata(place.lock_path()).is_ok(),
            "{what} is left"
        );
        if let Ok(victim) = fs::read_to_string(place.folder().join("victim")) {
            assert_eq!(victim, "precious");
        }
    }
}
