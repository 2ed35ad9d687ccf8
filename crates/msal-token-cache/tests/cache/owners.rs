//! Whose file it is, and who else can get at it.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;

use msal_token_cache::{ErrorKind, FilePersistence, Persistence, TokenCache};
use nix::unistd::geteuid;
use test_support::logs;

use super::roles::{NOBODY, play_as_nobody};
use super::sample::{Place, redeemed, signed_in};

/// How many warnings speak of this place.
fn warnings(capture: &logs::Capture, place: &Place) -> Vec<String> {
    let path = place.path.to_str().unwrap();
    let lines = capture.lines().into_iter();
    lines
        .filter(|line| line.level == tracing::Level::WARN && line.text.contains(path))
        .map(|line| line.text)
        .collect()
}

#[test]
fn a_file_that_others_may_read_is_warned_of_once_and_ends_with_the_next_save() {
    let capture = logs::capture();
    for mode in [0o644, 0o666, 0o640, 0o602] {
        let place = Place::signed_in();
        fs::set_permissions(&place.path, fs::Permissions::from_mode(mode)).unwrap();
        let persistence = place.persistence();
        for _ in 0..3 {
            assert!(persistence.load().unwrap().is_some());
        }
        let warnings = warnings(&capture, &place);
        assert_eq!(warnings.len(), 1, "mode {mode:o}: {warnings:?}");
        assert_eq!(
            fs::metadata(&place.path).unwrap().mode() & 0o777,
            mode,
            "left as it is"
        );

        let cache = TokenCache::new(persistence);
        cache
            .modify(|transaction| transaction.merge(&redeemed(&signed_in())))
            .unwrap();
        assert_eq!(fs::metadata(&place.path).unwrap().mode() & 0o777, 0o600);
    }
    let place = Place::signed_in();
    place.cache().snapshot().unwrap();
    assert_eq!(
        warnings(&capture, &place),
        [""; 0],
        "nothing is wrong with 0600"
    );
}

#[test]
fn where_everybody_can_put_files_none_is_written() {
    let place = Place::signed_in();
    fs::set_permissions(place.folder(), fs::Permissions::from_mode(0o777)).unwrap();
    let before = place.content();
    assert_eq!(
        place.cache().snapshot().unwrap().accounts().count(),
        1,
        "but read"
    );
    let written = place
        .cache()
        .modify(|transaction| transaction.merge(&redeemed(&signed_in())));
    let error = written.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Insecure);
    assert!(error.to_string().contains("others can write"), "{error}");
    assert_eq!(place.content(), before);
    assert_eq!(place.names(), ["msal.cache.nocae"]);
}

/// For somebody who is neither root nor the owner of the file at this path.
pub(crate) fn is_turned_away(path: &Path) {
    let persistence = || FilePersistence::new(path);
    let read = TokenCache::new(persistence()).snapshot().unwrap_err();
    let locked = persistence().lock().unwrap_err();
    let saved = persistence().save(b"{}").unwrap_err();
    for error in [read, locked, saved] {
        assert_eq!(error.kind(), ErrorKind::Insecure, "{error}");
        assert!(
            error.to_string().contains("belongs to another user"),
            "{error}"
        );
    }
    // A link of ours to it changes nothing.
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("link");
    symlink(path, &link).unwrap();
    let error = TokenCache::new(FilePersistence::new(&link))
        .snapshot()
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Insecure, "{error}");
    assert!(
        error
            .to_string()
            .contains("its target belongs to another user"),
        "{error}"
    );
}

/// Root's file, readable for everybody.
#[test]
fn another_users_file_is_neither_read_nor_written() {
    if geteuid().is_root() {
        let place = Place::signed_in();
        fs::set_permissions(&place.path, fs::Permissions::from_mode(0o644)).unwrap();
        fs::set_permissions(place.folder(), fs::Permissions::from_mode(0o755)).unwrap();
        let before = place.content();
        play_as_nobody("a stranger", &place.path);
        assert_eq!(place.content(), before);
        assert_eq!(place.names(), ["msal.cache.nocae"]);
    } else {
        is_turned_away(Path::new("/etc/passwd"));
    }
}

#[test]
fn root_reads_a_users_cache_but_does_not_write_it() {
    if !geteuid().is_root() {
        // Root's privilege is what this is about; without it, its absence is tested above.
        return is_turned_away(Path::new("/etc/passwd"));
    }
    let capture = logs::capture();
    let place = Place::signed_in();
    chown(&place.path, Some(NOBODY), None).unwrap();
    let persistence = place.persistence();
    for _ in 0..2 {
        assert!(persistence.load().unwrap().is_some());
    }
    let warnings = warnings(&capture, &place);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("another user's"), "{warnings:?}");
    assert_eq!(persistence.lock().unwrap_err().kind(), ErrorKind::Insecure);
    assert_eq!(
        persistence.save(b"{}").unwrap_err().kind(),
        ErrorKind::Insecure
    );

    // Nor does it leave files of its own in a user's folder.
    let place = Place::empty();
    chown(place.folder(), Some(NOBODY), None).unwrap();
    let error = place.persistence().lock().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Insecure, "{error}");
    assert_eq!(place.names(), [""; 0]);

    // Nor follow a user's link.
    let (target, place) = (Place::signed_in(), Place::empty());
    symlink(&target.path, &place.path).unwrap();
    std::os::unix::fs::lchown(&place.path, Some(NOBODY), None).unwrap();
    let error = place.cache().snapshot().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Insecure, "{error}");
}

/// Neither file nor lock nor folder.
#[track_caller]
fn nothing_is_written(path: &Path, why: &str) {
    let locked = FilePersistence::new(path).lock().unwrap_err();
    let saved = FilePersistence::new(path).save(b"{}").unwrap_err();
    for error in [locked, saved] {
        assert_eq!(error.kind(), ErrorKind::Insecure, "{error}");
        let text = error.to_string();
        assert!(text.contains(path.to_str().unwrap()), "{error}");
        assert!(text.contains(why), "{error}");
    }
}

/// He could put a link to any file of root's in its place.
#[test]
fn root_writes_nothing_below_a_folder_of_a_user() {
    if !geteuid().is_root() {
        return;
    }
    let place = Place::empty();
    let (home, private) = (place.folder().join("home"), place.folder().join("private"));
    let roots = home.join("roots");
    for folder in [&home, &roots, &private] {
        fs::create_dir(folder).unwrap();
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).unwrap();
    }
    symlink(&private, home.join("link")).unwrap();
    std::os::unix::fs::lchown(home.join("link"), Some(NOBODY), None).unwrap();
    symlink(&private, place.folder().join("his")).unwrap();
    std::os::unix::fs::lchown(place.folder().join("his"), Some(NOBODY), None).unwrap();
    chown(&home, Some(NOBODY), Some(NOBODY)).unwrap();
    let others_can = "others can write to a folder on the way";
    for name in [
        "cache",
        "roots/cache",
        "link/cache",
        "missing/cache",
        "roots/../roots/cache",
    ] {
        nothing_is_written(&home.join(name), others_can);
    }
    let his = "a link on the way belongs to another user";
    nothing_is_written(&place.folder().join("his/cache"), his);
    let names = |folder: &Path| fs::read_dir(folder).unwrap().count();
    assert_eq!([&home, &roots, &private].map(|it| names(it)), [2, 0, 0]);

    // A link of root's own, and folders that are missing, are no hindrance.
    symlink(&private, place.folder().join("own")).unwrap();
    let own = place.folder().join("own/new/folder/cache");
    FilePersistence::new(&own).save(b"{}").unwrap();
    assert_eq!(fs::read(private.join("new/folder/cache")).unwrap(), b"{}");
    let mode = fs::metadata(private.join("new")).unwrap().mode();
    assert_eq!(mode & 0o7777, 0o700);
}

/// A user's group may be his own; root's is root's.
#[test]
fn root_writes_nothing_where_a_group_can_put_files() {
    if !geteuid().is_root() {
        return;
    }
    let place = Place::empty();
    fs::set_permissions(place.folder(), fs::Permissions::from_mode(0o770)).unwrap();
    chown(place.folder(), None, Some(NOBODY)).unwrap();
    nothing_is_written(&place.path, "others can write to a folder");
    // Also root's own: an access list for another user shows in the same bits.
    chown(place.folder(), None, Some(0)).unwrap();
    nothing_is_written(&place.path, "others can write to a folder");
    assert_eq!(place.names(), [""; 0]);
    fs::set_permissions(place.folder(), fs::Permissions::from_mode(0o750)).unwrap();
    place.persistence().save(b"{}").unwrap();
}
