//! How soon a reader sees what others do to the file, and what it costs while they do nothing.

use std::cell::Cell;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use msal_token_cache::{
    FilePersistence, Freshness, Loaded, Persistence, Result, Snapshot, Stamp, StoreLock, TokenCache,
};

use super::sample::{Place, redeemed, signed_in};

/// A file whose looks, loads and ticks are counted, and whose tick can be held.
#[derive(Debug)]
struct Counted {
    file: FilePersistence,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    quick_stamps: AtomicUsize,
    stamps: AtomicUsize,
    loads: AtomicUsize,
    tick: AtomicUsize,
}

impl Counts {
    fn looks(&self) -> [usize; 3] {
        [&self.quick_stamps, &self.stamps, &self.loads].map(|count| count.load(Ordering::Relaxed))
    }

    fn pass(&self) {
        self.tick.fetch_add(1, Ordering::Relaxed);
    }
}

impl Persistence for Counted {
    fn location(&self) -> String {
        self.file.location()
    }
    fn stamp(&self) -> Result<Option<Stamp>> {
        self.counts.stamps.fetch_add(1, Ordering::Relaxed);
        self.file.stamp()
    }
    fn quick_stamp(&self) -> Result<Option<Stamp>> {
        self.counts.quick_stamps.fetch_add(1, Ordering::Relaxed);
        self.file.quick_stamp()
    }
    fn tick(&self) -> Option<u64> {
        Some(self.counts.tick.load(Ordering::Relaxed) as u64)
    }
    fn load(&self) -> Result<Option<Loaded>> {
        self.counts.loads.fetch_add(1, Ordering::Relaxed);
        self.file.load()
    }
    fn load_quickly(&self) -> Option<Result<Option<Loaded>>> {
        self.counts.loads.fetch_add(1, Ordering::Relaxed);
        self.file.load_quickly()
    }
    fn lock(&self) -> Result<Box<dyn StoreLock>> {
        self.file.lock()
    }
    fn save(&self, content: &[u8]) -> Result<Stamp> {
        self.file.save(content)
    }
}

fn counted(place: &Place) -> (TokenCache, Arc<Counts>) {
    let counts = Arc::new(Counts::default());
    let file = FilePersistence::new(&place.path);
    let counts_too = Arc::clone(&counts);
    (
        TokenCache::new(Counted {
            file,
            counts: counts_too,
        }),
        counts,
    )
}

fn username(snapshot: &Snapshot) -> String {
    let account = snapshot.accounts().next().unwrap();
    account.username().unwrap().into_owned()
}

/// Waits until the stamp of what was just written is of age: then it need not be read again.
fn come_of_age() {
    thread::sleep(Duration::from_millis(60));
}

fn pass_a_tick(file: &FilePersistence) {
    let before = file.tick().unwrap();
    let begun = Instant::now();
    while file.tick().unwrap() == before {
        assert!(begun.elapsed() < Duration::from_secs(1), "it does not tick");
        std::hint::spin_loop();
    }
}

#[test]
fn within_a_tick_a_reader_looks_once() {
    let place = Place::signed_in();
    come_of_age();
    let (cache, counts) = counted(&place);
    let first = cache.snapshot().unwrap();
    assert_eq!(counts.looks(), [0, 0, 1], "what was never read is read");
    for n in 0..50 {
        for _ in 0..20 {
            assert_eq!(first.version(), cache.snapshot().unwrap().version());
        }
        assert_eq!(counts.looks(), [1 + n, 0, 1], "one look, nothing read");
        counts.pass();
    }
    cache.snapshot_with(Freshness::Latest).unwrap();
    assert_eq!(
        counts.looks(),
        [50, 1, 1],
        "the latest is always looked for"
    );
}

#[test]
fn a_change_of_others_is_seen_with_the_next_tick_and_one_of_ours_at_once() {
    let place = Place::signed_in();
    let (cache, counts) = counted(&place);
    assert_eq!(username(&cache.snapshot().unwrap()), "ada@contoso.example");
    // The first look settles the tick.
    cache.snapshot().unwrap();
    place.put(signed_in().to_json().replace("ada@", "eve@"));
    assert_eq!(username(&cache.snapshot().unwrap()), "ada@contoso.example");
    assert_eq!(
        username(&cache.snapshot_with(Freshness::Latest).unwrap()),
        "eve@contoso.example"
    );
    assert_eq!(username(&cache.snapshot().unwrap()), "eve@contoso.example");
    place.put(signed_in().to_json());
    assert_eq!(username(&cache.snapshot().unwrap()), "eve@contoso.example");
    counts.pass();
    assert_eq!(username(&cache.snapshot().unwrap()), "ada@contoso.example");

    cache.snapshot().unwrap();
    let redemption = redeemed(&signed_in());
    let clone = cache.clone();
    clone.modify(|t| t.merge(&redemption)).unwrap();
    assert_eq!(cache.snapshot().unwrap().access_tokens().count(), 1);
}

/// Content that was read right after it changed is read once more later, because the next change
/// may have had the same stamp; if there was none, the snapshot stays the same one.
#[test]
fn young_content_is_read_once_more() {
    let place = Place::signed_in();
    let (cache, counts) = counted(&place);
    let begun = Instant::now();
    let first = cache.snapshot().unwrap();
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "this machine is too slow for the test"
    );
    for _ in 0..5 {
        come_of_age();
        counts.pass();
        assert_eq!(first.version(), cache.snapshot().unwrap().version());
    }
    let [_, _, loads] = counts.looks();
    assert!((1..=2).contains(&loads), "{loads} loads");
}

/// How one content follows another in the same file, or in another one of the same name.
type Replace = fn(&Place, &str);

fn by_renaming(place: &Place, text: &str) {
    let beside = place.folder().join("new");
    fs::write(&beside, text).unwrap();
    fs::rename(&beside, &place.path).unwrap();
}

fn in_place(place: &Place, text: &str) {
    let file = fs::OpenOptions::new().write(true).open(&place.path);
    file.unwrap().write_all(text.as_bytes()).unwrap();
}

/// Ten thousand changes of equal length, many per tick, and a reader in between: with
/// the tick after the last of them it is seen.
#[test]
fn no_change_is_missed_after_the_tick() {
    const BURSTS: usize = 250;
    const CHANGES: usize = 20;
    for replace in [by_renaming as Replace, in_place] {
        let place = Place::signed_in();
        let persistence = Arc::new(FilePersistence::new(&place.path));
        let cache = TokenCache::new(Arc::clone(&persistence));
        let text = signed_in().to_json();
        let missed = Cell::new(0);
        for burst in 0..BURSTS {
            let mut name = String::new();
            for change in 0..CHANGES {
                name = format!("a{:05}@contoso.example", burst * CHANGES + change);
                let padded = text.replace("ada@contoso.example", &name);
                replace(&place, &padded);
                if change % 3 == burst % 3 {
                    cache.snapshot().unwrap();
                }
            }
            pass_a_tick(&persistence);
            if username(&cache.snapshot().unwrap()) != name {
                missed.set(missed.get() + 1);
            }
        }
        assert_eq!(missed.get(), 0, "of {} changes", BURSTS * CHANGES);
    }
}

#[test]
fn a_strict_reader_sees_each_change_at_once() {
    let place = Place::signed_in();
    let persistence = FilePersistence::new(&place.path).with_strict_freshness(true);
    assert_eq!(persistence.tick(), None);
    let cache = TokenCache::new(persistence);
    let text = signed_in().to_json();
    for n in 100..400 {
        let name = format!("a{n}@contoso.example");
        by_renaming(&place, &text.replace("ada@contoso.example", &name));
        assert_eq!(username(&cache.snapshot().unwrap()), name);
    }
}

#[test]
fn what_happens_to_the_file_is_seen_with_the_next_tick() {
    let place = Place::signed_in();
    let persistence = Arc::new(FilePersistence::new(&place.path));
    let cache = TokenCache::new(Arc::clone(&persistence));
    let accounts = || {
        pass_a_tick(&persistence);
        cache.snapshot().unwrap().accounts().count()
    };
    let away = place.folder().join("away");
    for _ in 0..20 {
        assert_eq!(accounts(), 1);
        assert_eq!(accounts(), 1, "now the held file answers");
        fs::rename(&place.path, &away).unwrap();
        assert_eq!(accounts(), 0, "moved away");
        fs::rename(&away, &place.path).unwrap();
        assert_eq!((accounts(), accounts()), (1, 1));
        fs::remove_file(&place.path).unwrap();
        assert_eq!(accounts(), 0, "removed");
        place.put(signed_in().to_json());
        assert_eq!((accounts(), accounts()), (1, 1));
        // A second name for the old file keeps it alive when another one takes its first.
        fs::hard_link(&place.path, &away).unwrap();
        assert_eq!((accounts(), accounts()), (1, 1));
        by_renaming(&place, "{}");
        assert_eq!(accounts(), 0, "replaced");
        fs::rename(&away, &place.path).unwrap();
    }
}

#[test]
fn another_folder_in_place_of_the_files_is_seen_within_a_second() {
    let place = Place::signed_in();
    let [folder, away] = ["in use", "away"].map(|name| place.folder().join(name));
    fs::create_dir(&folder).unwrap();
    let path: PathBuf = folder.join("cache");
    fs::write(&path, signed_in().to_json()).unwrap();
    let persistence = Arc::new(FilePersistence::new(&path));
    let cache = TokenCache::new(Arc::clone(&persistence));
    for _ in 0..3 {
        assert_eq!(cache.snapshot().unwrap().accounts().count(), 1);
        pass_a_tick(&persistence);
    }
    fs::rename(&folder, &away).unwrap();
    let begun = Instant::now();
    while cache.snapshot().unwrap().accounts().count() == 1 {
        assert!(begun.elapsed() < Duration::from_millis(1_500));
        thread::sleep(Duration::from_millis(5));
    }
    fs::rename(&away, &folder).unwrap();
    pass_a_tick(&persistence);
    assert_eq!(
        cache.snapshot().unwrap().accounts().count(),
        1,
        "a file that appears is seen with the next tick"
    );
}

#[cfg(unix)]
#[test]
fn another_target_of_a_link_is_seen_with_the_next_tick() {
    let place = Place::signed_in();
    let link = place.folder().join("link");
    let empty = place.folder().join("empty");
    fs::write(&empty, "{}").unwrap();
    std::os::unix::fs::symlink(&place.path, &link).unwrap();
    let persistence = Arc::new(FilePersistence::new(&link));
    let cache = TokenCache::new(Arc::clone(&persistence));
    for _ in 0..3 {
        assert_eq!(cache.snapshot().unwrap().accounts().count(), 1);
        pass_a_tick(&persistence);
    }
    let other = place.folder().join("other link");
    std::os::unix::fs::symlink(&empty, &other).unwrap();
    fs::rename(&other, &link).unwrap();
    pass_a_tick(&persistence);
    assert_eq!(cache.snapshot().unwrap().accounts().count(), 0);
}
