#![expect(
    clippy::disallowed_methods,
    reason = "tests play peers, who go through no door"
)]

use std::fs;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;

use tempfile::TempDir;

use super::*;
use crate::cache::{Freshness, TokenCache};
use crate::document::{Edits, Section};

/// A platform's store in memory.
#[derive(Clone, Default)]
struct Platform(Arc<PlatformState>);

#[derive(Default)]
struct PlatformState {
    content: Mutex<Option<Vec<u8>>>,
    failure: Mutex<Option<ErrorKind>>,
    loads: AtomicUsize,
    unlocks: AtomicUsize,
}

impl Platform {
    fn holding(content: &str) -> Self {
        let platform = Self::default();
        platform.put(content);
        platform
    }

    fn failing(kind: ErrorKind) -> Self {
        let platform = Self::default();
        platform.fail(Some(kind));
        platform
    }

    fn put(&self, content: &str) {
        *self.0.content.lock().unwrap() = Some(content.into());
    }

    fn fail(&self, kind: Option<ErrorKind>) {
        *self.0.failure.lock().unwrap() = kind;
    }

    fn content(&self) -> Option<String> {
        let content = self.0.content.lock().unwrap().clone();
        content.map(|content| String::from_utf8(content).unwrap())
    }

    fn loads(&self) -> usize {
        self.0.loads.load(Ordering::Relaxed)
    }

    fn try_it(&self) -> Result<()> {
        match *self.0.failure.lock().unwrap() {
            Some(kind) => Err(Error::new(kind, "the platform is out of order")),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Platform")
    }
}

impl Item for Platform {
    fn location(&self) -> String {
        "the item of the test".to_owned()
    }

    fn load(&self) -> Result<LoadOutcome> {
        self.0.loads.fetch_add(1, Ordering::Relaxed);
        match self.try_it() {
            Err(error) if error.kind() == ErrorKind::Unavailable => {
                return Ok(LoadOutcome::NoStore("it is out of order".to_owned(), error));
            }
            tried => tried?,
        }
        let content = self.0.content.lock().unwrap().clone();
        Ok(content.map_or(LoadOutcome::NoItem, |it| {
            LoadOutcome::Content(Zeroizing::new(it))
        }))
    }

    fn save_if(&self, content: &[u8], is_current: &dyn Fn() -> bool) -> Result<bool> {
        self.try_it()?;
        if !is_current() {
            return Ok(false);
        }
        *self.0.content.lock().unwrap() = Some(content.to_vec());
        Ok(true)
    }

    fn unlock(&self) -> Result<()> {
        self.0.unlocks.fetch_add(1, Ordering::Relaxed);
        self.try_it()
    }
}

/// A store whose file is in a folder of its own.
struct Stage {
    folder: TempDir,
    platform: Platform,
    cache: TokenCache,
}

const THEIRS: &str = r#"{"Theirs":{}}"#;
const PLAIN: &str = r#"{"Plain":{}}"#;

impl Stage {
    fn new(platform: Platform, allows_plain_text: bool, file: Option<&str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("msal.cache");
        if let Some(file) = file {
            fs::write(&path, file).unwrap();
        }
        let store = KeyringPersistence::new(platform.clone(), path);
        Self {
            folder,
            platform,
            cache: TokenCache::new(store.with_plain_text(allows_plain_text)),
        }
    }

    fn file(&self) -> Option<String> {
        fs::read_to_string(self.path()).ok()
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("msal.cache")
    }

    /// What a peer leaves that has written the item.
    fn peer_writes(&self, content: &str) {
        self.platform.put(content);
        self.peer_touches();
    }

    fn peer_touches(&self) {
        let mut options = fs::File::options();
        let file = options.append(true).create(true).open(self.path()).unwrap();
        // A coarse clock gives two changes in a tick the same time.
        std::thread::sleep(Duration::from_millis(25));
        file.set_modified(std::time::SystemTime::now()).unwrap();
        std::thread::sleep(Duration::from_millis(25));
    }

    #[track_caller]
    fn reads(&self, content: &str) {
        let snapshot = self.cache.snapshot_with(Freshness::Latest).unwrap();
        assert_eq!(snapshot.document().text(), content);
    }

    /// Adds an entry to the cache.
    fn write(&self) -> Result<()> {
        self.cache.modify(|transaction| {
            let mut edits = Edits::default();
            edits.add(
                Section::Account,
                "ours".to_owned(),
                Zeroizing::new("{}".to_owned()),
            );
            transaction.apply(&edits)
        })
    }
}

/// The text of a cache without blanks.
fn dense(text: &str) -> String {
    text.split_whitespace().collect()
}

#[test]
fn the_item_is_the_cache_and_the_file_only_says_when_it_changed() {
    let stage = Stage::new(Platform::holding(THEIRS), false, Some(""));
    stage.reads(THEIRS);
    stage.reads(THEIRS);
    assert!(stage.cache.is_encrypted());
    let loads = stage.platform.loads();
    std::thread::sleep(Duration::from_millis(50));
    stage.reads(THEIRS);
    // Once more at most, when what was read right after a change has come of age.
    assert!(stage.platform.loads() <= loads + 1);
    let loads = stage.platform.loads();
    for _ in 0..100 {
        stage.cache.snapshot().unwrap();
    }
    assert_eq!(stage.platform.loads(), loads);

    stage.peer_writes(PLAIN);
    stage.reads(PLAIN);
}

#[test]
fn a_save_touches_the_file_and_leaves_it_empty() {
    for file in [None, Some("")] {
        let stage = Stage::new(Platform::holding(THEIRS), false, file);
        stage.write().unwrap();
        assert_eq!(stage.file().as_deref(), Some(""));
        let content = stage.platform.content().unwrap();
        assert_eq!(dense(&content), r#"{"Theirs":{},"Account":{"ours":{}}}"#);
        stage.reads(&content);
    }
}

#[test]
fn an_item_without_a_file_is_read_all_the_same() {
    let stage = Stage::new(Platform::holding(THEIRS), true, None);
    stage.reads(THEIRS);
    stage.reads(THEIRS);
    assert_eq!(stage.platform.loads(), 1);
    assert_eq!(stage.cache.location(), "the item of the test");
}

#[test]
fn nothing_anywhere_is_an_empty_cache_and_is_not_asked_for_again() {
    for platform in [
        Platform::default(),
        Platform::failing(ErrorKind::Unavailable),
    ] {
        let stage = Stage::new(platform, true, None);
        assert_eq!(
            stage
                .cache
                .snapshot_with(Freshness::Latest)
                .unwrap()
                .accounts()
                .count(),
            0
        );
        for _ in 0..10 {
            stage.cache.snapshot_with(Freshness::Latest).unwrap();
        }
        assert_eq!(stage.platform.loads(), 1);
    }
}

#[test]
fn the_item_wins_over_plain_text_which_is_left_as_it_is() {
    for allows_plain_text in [true, false] {
        let stage = Stage::new(Platform::holding(THEIRS), allows_plain_text, Some(PLAIN));
        stage.reads(THEIRS);
        stage.write().unwrap();
        assert_eq!(stage.file().as_deref(), Some(PLAIN));
        let why = stage.cache.note().unwrap();
        assert!(
            why.starts_with("the plain text in ") && why.ends_with(" is not used"),
            "{why}"
        );
    }
}

#[test]
fn plain_text_serves_where_the_platform_has_no_store_or_no_item() {
    for (platform, because) in [
        (Platform::default(), "there is no the item of the test"),
        (
            Platform::failing(ErrorKind::Unavailable),
            "it is out of order",
        ),
    ] {
        let stage = Stage::new(platform.clone(), true, Some(PLAIN));
        stage.reads(PLAIN);
        assert!(!stage.cache.is_encrypted());
        assert_eq!(stage.cache.location(), stage.path().display().to_string());
        let why = format!("in plain text, because {because}");
        assert_eq!(stage.cache.note(), Some(why));
        stage.write().unwrap();
        let file = stage.file().unwrap();
        assert_eq!(dense(&file), r#"{"Plain":{},"Account":{"ours":{}}}"#);
        assert_eq!(platform.content(), None);
        assert_eq!(platform.0.unlocks.load(Ordering::Relaxed), 0);
    }
}

#[test]
fn plain_text_that_is_not_allowed_is_neither_read_nor_written() {
    let stage = Stage::new(Platform::default(), false, Some(PLAIN));
    stage.reads("{}");
    let why = format!("the plain text in {} is not used", stage.path().display());
    assert_eq!(stage.cache.note(), Some(why));
    stage.write().unwrap();
    assert_eq!(stage.file().as_deref(), Some(PLAIN));
    assert!(stage.platform.content().is_some());

    let stage = Stage::new(
        Platform::failing(ErrorKind::Unavailable),
        false,
        Some(PLAIN),
    );
    let error = stage.cache.snapshot_with(Freshness::Latest).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(stage.write().unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(stage.file().as_deref(), Some(PLAIN));
}

#[test]
fn a_store_that_is_there_and_fails_is_not_passed_by() {
    for kind in [ErrorKind::KeyringLocked, ErrorKind::Io] {
        let stage = Stage::new(Platform::failing(kind), true, Some(PLAIN));
        assert_eq!(
            stage
                .cache
                .snapshot_with(Freshness::Latest)
                .unwrap_err()
                .kind(),
            kind
        );
        stage.platform.fail(None);
        stage.platform.put(THEIRS);
        stage.reads(THEIRS);
    }
}

#[test]
fn who_has_seen_the_item_does_not_turn_to_plain_text_when_it_goes() {
    let stage = Stage::new(Platform::holding(THEIRS), true, Some(PLAIN));
    stage.reads(THEIRS);
    stage.platform.fail(Some(ErrorKind::Unavailable));
    stage.peer_touches();
    let error = stage.cache.snapshot_with(Freshness::Latest).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert_eq!(error.to_string(), "the platform is out of order");

    stage.platform.fail(None);
    *stage.platform.0.content.lock().unwrap() = None;
    stage.reads("{}");
}

#[test]
fn an_item_that_appears_is_used_from_the_next_change_of_the_file_on() {
    for platform in [
        Platform::default(),
        Platform::failing(ErrorKind::Unavailable),
    ] {
        let stage = Stage::new(platform, true, Some(PLAIN));
        stage.reads(PLAIN);
        stage.platform.fail(None);
        stage.peer_writes(THEIRS);
        stage.reads(THEIRS);
        assert!(stage.cache.is_encrypted());
    }
}

#[test]
fn an_empty_file_is_never_written_to_in_plain_text() {
    let stage = Stage::new(Platform::failing(ErrorKind::Unavailable), true, Some(""));
    stage.reads("");
    let error = stage.write().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnsupportedFormat);
    assert_eq!(stage.file().as_deref(), Some(""));
}

#[test]
fn what_others_encrypted_in_the_file_is_left_alone() {
    const JWE: &str = "eyJhbGciOiJkaXIifQ..aXY.Y2lwaGVy.dGFn";
    for platform in [
        Platform::default(),
        Platform::failing(ErrorKind::Unavailable),
    ] {
        let stage = Stage::new(platform, true, Some(JWE));
        assert_eq!(
            stage
                .cache
                .snapshot_with(Freshness::Latest)
                .unwrap_err()
                .kind(),
            ErrorKind::UnsupportedFormat
        );
        assert_eq!(
            stage.write().unwrap_err().kind(),
            ErrorKind::UnsupportedFormat
        );
        assert_eq!(stage.file().as_deref(), Some(JWE));
    }
}

/// A reader of the same store finds an item while a writer is about to write to the file.
#[test]
fn a_writer_does_not_carry_what_it_read_to_another_place() {
    let stage = Stage::new(Platform::default(), true, Some(PLAIN));
    let store = KeyringPersistence::new(stage.platform.clone(), stage.path()).with_plain_text(true);
    let read = store.load().unwrap().unwrap();
    assert_eq!(*read.bytes, PLAIN.as_bytes());
    let _lock = store.lock().unwrap();
    stage.platform.put(THEIRS);
    let is_current = || {
        store.load().unwrap();
        true
    };
    assert_eq!(store.save_if(b"{}", &is_current).unwrap(), None);
    assert_ne!(store.stamp().unwrap(), Some(read.stamp));
    assert_eq!(stage.file().as_deref(), Some(PLAIN));
    assert_eq!(stage.platform.content().as_deref(), Some(THEIRS));
}

/// What bounds a reader of the file bounds a writer, and the platform bounds itself.
#[test]
fn a_writer_has_the_limit_of_the_place_that_it_writes_to() {
    for (platform, is_limited) in [
        (Platform::holding("{}"), false),
        (Platform::failing(ErrorKind::Unavailable), true),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cache");
        fs::write(&path, "{}").unwrap();
        let store = KeyringPersistence::new(platform, path).with_plain_text(true);
        store.load().unwrap();
        let expected = store.file.max_bytes().filter(|_| is_limited);
        assert_eq!(store.max_bytes(), expected);
    }
}
