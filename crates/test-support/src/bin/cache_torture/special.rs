//! Whatever can stand at a path instead of a file of ours.

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use msal_token_cache::{FilePersistence, Persistence, TokenCache};
use serde_json::{Value, json};

use super::{CLIENT, HOST, NOBODY, ada, count};
use test_support::CacheBuilder;

/// What a file holds that is not ours to touch: a cache, so that nothing but its place and owner
/// is wrong with it.
fn precious() -> String {
    CacheBuilder::new()
        .signed_in(&ada(), HOST, CLIENT, "a-precious-refresh-token")
        .to_json()
}

/// Puts something at a path. `beside` is a place for what it refers to.
type Put = fn(path: &Path, beside: &Path);

const PUTS: &[(&str, Put)] = &[
    ("FIFO", |path, _| {
        assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    }),
    ("socket", |path, _| drop(UnixListener::bind(path).unwrap())),
    ("device", |path, _| {
        let mut mknod = Command::new("mknod");
        assert!(
            mknod
                .arg(path)
                .args(["c", "1", "5"])
                .status()
                .unwrap()
                .success()
        );
    }),
    ("folder", |path, _| fs::create_dir(path).unwrap()),
    ("own link", |path, beside| {
        fs::write(beside, precious()).unwrap();
        symlink(beside, path).unwrap();
    }),
    ("foreign link", |path, beside| {
        fs::write(beside, precious()).unwrap();
        symlink(beside, path).unwrap();
        std::os::unix::fs::lchown(path, Some(NOBODY), None).unwrap();
    }),
    ("link to a foreign file", |path, beside| {
        fs::write(beside, precious()).unwrap();
        chown(beside, Some(NOBODY), None).unwrap();
        symlink(beside, path).unwrap();
    }),
    ("dangling link", |path, beside| {
        symlink(beside, path).unwrap();
    }),
    ("loop", |path, _| symlink(path, path).unwrap()),
    ("foreign file", |path, _| {
        fs::write(path, precious()).unwrap();
        chown(path, Some(NOBODY), None).unwrap();
    }),
    ("4 GiB", |path, _| {
        File::create(path).unwrap().set_len(4 << 30).unwrap();
    }),
];

const POSITIONS: &[(&str, &str)] = &[
    ("cache", ""),
    ("lock", ".lockfile"),
    ("temporary", ".0123456789abcdef.msal-token-cache-tmp"),
];

/// Reads and writes where each of these is in the way. Needs root, to play somebody else.
pub(super) fn special(folder: &Path) -> Value {
    let mut cases = Vec::new();
    // What is allocated once is not what a case costs.
    super::create(&folder.join("first"));
    attempt(&folder.join("first"));
    for (what, put) in PUTS {
        for (position, suffix) in POSITIONS {
            let folder = folder.join(format!("{what} {position}").replace(' ', "-"));
            fs::create_dir(&folder).unwrap();
            fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
            let cache = folder.join("cache");
            if !suffix.is_empty() {
                super::create(&cache);
            }
            let (at, beside) = (folder.join(format!("cache{suffix}")), folder.join("beside"));
            put(&at, &beside);
            let before = fs::symlink_metadata(&at).unwrap().file_type();
            let memory = resident();
            let (mut read, mut write) = (Value::Null, Value::Null);
            // The quickest of three: what else this machine does is not the question.
            let took = (0..3).map(|_| {
                let begun = Instant::now();
                (read, write) = attempt(&cache);
                begun.elapsed()
            });
            let took = took.min().unwrap_or_default();
            let grown = resident().saturating_sub(memory);
            let stays = fs::symlink_metadata(&at).is_ok_and(|now| now.file_type() == before);
            let is_touched = |file: &Path| {
                let is_file = fs::symlink_metadata(file).is_ok_and(|now| now.is_file());
                is_file && fs::read_to_string(file).is_ok_and(|text| text != precious())
            };
            cases.push(json!({
                "what": what,
                "position": position,
                "read": read,
                "write": write,
                "took_us": took.as_micros(),
                "grown_kb": grown / 1024,
                "stays": stays,
                "is_touched": is_touched(&beside) || *what == "foreign file" && is_touched(&at),
            }));
        }
    }
    json!(cases)
}

fn attempt(path: &Path) -> (Value, Value) {
    let store = || FilePersistence::new(path).with_lock_timeout(Duration::ZERO);
    let told = |result: msal_token_cache::Result<()>| match result {
        Ok(()) => json!("ok"),
        Err(error) => {
            let is_named = error.to_string().contains(path.to_str().unwrap());
            json!(format!(
                "{:?}{}",
                error.kind(),
                if is_named { "" } else { " without a path" }
            ))
        }
    };
    let read = TokenCache::new(store()).snapshot().map(drop);
    let written = TokenCache::new(store()).modify(|transaction| {
        let is_signed_in = transaction.snapshot().refresh_tokens().next().is_some();
        if is_signed_in {
            count::put(transaction, "special", fastrand::u64(..)).map(drop)
        } else {
            transaction.remove_account("nobody", HOST)
        }
    });
    (told(read), told(written))
}

/// The memory that this process has, in bytes.
fn resident() -> u64 {
    let statm = fs::read_to_string("/proc/self/statm").unwrap();
    let pages = statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap();
    pages * 4_096
}

/// Somebody with access to the folder swaps a link between a file of ours and a foreign one, so
/// many times, while we read and write.
pub(super) fn swaps(folder: &Path, times: u64) -> Value {
    let (cache, next) = (folder.join("cache"), folder.join("next"));
    let (own, foreign) = (folder.join("own"), folder.join("foreign"));
    let text = CacheBuilder::new()
        .signed_in(&ada(), HOST, CLIENT, "a-refresh-token")
        .to_json();
    FilePersistence::new(&own).save(text.as_bytes()).unwrap();
    fs::write(&foreign, &text).unwrap();
    chown(&foreign, Some(NOBODY), None).unwrap();
    symlink(&own, &cache).unwrap();
    let before = fs::metadata(&foreign).unwrap();
    let is_over = AtomicBool::new(false);
    let (read, written) = std::thread::scope(|scope| {
        let reading = scope.spawn(|| {
            until(&is_over, || {
                TokenCache::new(FilePersistence::new(&cache))
                    .snapshot()
                    .is_ok()
            })
        });
        let writing = scope.spawn(|| {
            until(&is_over, || {
                let store = FilePersistence::new(&cache).with_lock_timeout(Duration::ZERO);
                let put = |transaction: &mut _| count::put(transaction, "swaps", fastrand::u64(..));
                TokenCache::new(store).modify(put).is_ok()
            })
        });
        for n in 0..times {
            symlink(if n % 2 == 0 { &foreign } else { &own }, &next).unwrap();
            fs::rename(&next, &cache).unwrap();
        }
        is_over.store(true, Ordering::Relaxed);
        (reading.join().unwrap(), writing.join().unwrap())
    });
    let after = fs::metadata(&foreign).unwrap();
    let is_untouched = fs::read_to_string(&foreign).unwrap() == text
        && before.modified().unwrap() == after.modified().unwrap();
    json!({ "swaps": times, "read": read, "written": written, "is_untouched": is_untouched })
}

/// How often it worked, and how often it was tried.
fn until(is_over: &AtomicBool, mut attempt: impl FnMut() -> bool) -> [u64; 2] {
    let [mut worked, mut tried] = [0, 0];
    while !is_over.load(Ordering::Relaxed) {
        worked += u64::from(attempt());
        tried += 1;
    }
    [worked, tried]
}
