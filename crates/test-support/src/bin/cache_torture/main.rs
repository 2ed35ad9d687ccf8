//! One process at a shared token cache, for `cargo xtask torture`: it writes, holds the lock or
//! reads, counts what it did, and prints one JSON object at its end.
//!
//! * `create PATH`: a cache in which one account is signed in;
//! * `count PATH NAME TURNS SECONDS THINK_MS`: writes 1, 2, 3 .. under its name, until one of the
//!   limits (0 is none) is reached, with a pause of so long on average;
//! * `write PATH NAME`: the same without an end; prints each number once it is written;
//! * `hold PATH`: takes the lock, prints `held`, and holds it until standard input ends;
//! * `read PATH READS SECONDS`: reads at least so often and so long, as a service that keeps a cache and as one that begins anew;
//! * `once PATH`: one modification, of which it tells how it ended, between two marks;
//! * `token PATH THEN`: tokens from a credential whose cache holds none, after the shell has done
//!   what is to happen once the cache is there.
//! * `heartbeat PATH WRITES`: writes from an async service;
//! * `special FOLDER`: whatever can stand at a path; `swaps FOLDER TIMES`: links that change;
//! * `exchanged TIMES`: leases and writes as root in a folder that another user swaps for a
//!   link; `exchange PATH PATH`: that user, until standard input ends.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a torturer stands outside the doors that it tests, and fails loudly"
)]

mod count;
mod exchange;
mod heartbeat;
mod once;
mod read;
mod special;
mod token;

use std::env;
use std::fs::File;
use std::io::{IoSlice, Read, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;

use msal_token_cache::{FilePersistence, Persistence, TokenCache};
use serde_json::{Value, json};
use test_support::{CacheBuilder, FakeAccount};

const HOST: &str = "login.microsoftonline.com";
const CLIENT: &str = "04b07795-8ddb-461a-bbee-02f9e1bf7b46";
/// The user who owns nothing.
const NOBODY: u32 = 65_534;

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let stdout = std::io::stdout().as_fd().try_clone_to_owned().unwrap();
    let mut stdout = File::from(stdout);
    let number = |text: &str| text.parse::<u64>().expect("a number");
    let report = match *arguments.as_slice() {
        ["create", path] => create(Path::new(path)),
        ["count", path, name, turns, seconds, think] => count::count(
            &cache_at(path),
            name,
            (number(turns), Duration::from_secs(number(seconds))),
            Duration::from_millis(number(think)),
        ),
        ["write", path, name] => count::write(&cache_at(path), name),
        ["hold", path] => hold(path),
        ["read", path, reads, seconds] => {
            read::read(path, number(reads), Duration::from_secs(number(seconds)))
        }
        ["once", path, timeout] => once::once(path, Duration::from_millis(number(timeout))),
        ["token", path, then] => token::token(path, then),
        ["heartbeat", path, writes] => heartbeat::heartbeat(path, number(writes)),
        ["special", folder] => special::special(Path::new(folder)),
        ["exchanged", times] => exchange::exchanged(number(times)),
        ["exchange", one, other] => exchange::exchange(Path::new(one), Path::new(other)),
        ["swaps", folder, times] => special::swaps(Path::new(folder), number(times)),
        _ => panic!("the head of this program's source says how to call it"),
    };
    // By a system call that nothing else makes: others are made to fail.
    let text = report.to_string();
    let parts = [IoSlice::new(text.as_bytes()), IoSlice::new(b"\n")];
    let written = stdout.write_vectored(&parts).unwrap();
    assert_eq!(written, text.len() + 1, "a report fits into a pipe");
}

/// The one account of the cache.
fn ada() -> FakeAccount {
    FakeAccount::new("ada@contoso.example")
}

/// A cache whose writers wait for each other for longer than anybody should have to, so that it is
/// the figures that tell.
fn cache_at(path: &str) -> TokenCache {
    TokenCache::new(FilePersistence::new(path).with_lock_timeout(Duration::from_secs(30)))
}

fn create(path: &Path) -> Value {
    let text = CacheBuilder::new()
        .signed_in(&ada(), HOST, CLIENT, "a-refresh-token")
        .to_json();
    FilePersistence::new(path).save(text.as_bytes()).unwrap();
    json!({ "bytes": text.len() })
}

fn hold(path: &str) -> Value {
    let lock = FilePersistence::new(path).lock().unwrap();
    println!("held");
    std::io::stdout().flush().unwrap();
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
    json!({ "is_held": lock.is_held() })
}
