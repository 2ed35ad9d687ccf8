//! Writers that count, each in an entry of its own: whoever puts old content over new sets a
//! counter back, and its owner notices.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use msal_token_cache::{Merged, Redemption, Result, TokenCache, Transaction};
use serde_json::{Value, json};
use token_credential::Secret;

use super::ada;

/// What one writer has seen.
struct Writer<'a> {
    cache: &'a TokenCache,
    name: &'a str,
    /// The number that was written last.
    last: u64,
    /// By how much the counter was set back, in sum.
    lost: u64,
    /// How often somebody else was at work under the lock.
    double: u64,
}

impl<'a> Writer<'a> {
    fn new(cache: &'a TokenCache, name: &'a str) -> Self {
        Self {
            cache,
            name,
            last: 0,
            lost: 0,
            double: 0,
        }
    }

    /// Writes the next number.
    fn turn(&mut self) -> Result<()> {
        let next = self.last + 1;
        let mut found = None;
        let (name, mut double) = (self.name, 0);
        let marker = PathBuf::from(format!("{}.inside", self.cache.location()));
        self.cache.modify(|transaction| {
            let written = written(transaction, name);
            found.get_or_insert(written);
            if written == next {
                return Ok(());
            }
            // Whoever finds it was let in with somebody else.
            let is_alone = fs::File::create_new(&marker).is_ok();
            let merged = put(transaction, name, next);
            if is_alone {
                let _ = fs::remove_file(&marker);
            } else {
                double += 1;
            }
            assert_eq!(merged?, Merged::Stored, "the account has gone");
            Ok(())
        })?;
        self.double += double;
        self.lost += self.last.saturating_sub(found.unwrap_or(0));
        self.last = next;
        Ok(())
    }
}

/// The number under this name.
fn written(transaction: &Transaction, name: &str) -> u64 {
    let snapshot = transaction.snapshot();
    let mut tokens = snapshot.access_tokens();
    tokens
        .find(|token| token.target().contains([name]))
        .and_then(|token| token.secret().expose_secret().parse().ok())
        .unwrap_or(0)
}

/// Puts this number under this name, as a redemption does.
pub(super) fn put(transaction: &mut Transaction, name: &str, number: u64) -> Result<Merged> {
    let now = SystemTime::now();
    let snapshot = transaction.snapshot().clone();
    let refresh_token = snapshot.refresh_tokens().next().expect("a-refresh-token");
    transaction.merge(&Redemption::new(
        &refresh_token,
        ada().utid,
        name,
        Secret::new(number.to_string()),
        now,
        now + Duration::from_secs(3_600 * 24),
    ))
}

/// Counts until one of the limits is reached; zero is none.
pub(super) fn count(
    cache: &TokenCache,
    name: &str,
    (turns, time): (u64, Duration),
    think: Duration,
) -> Value {
    let mut writer = Writer::new(cache, name);
    let begun = Instant::now();
    let mut took = Vec::new();
    let mut errors = Vec::new();
    while (turns == 0 || (took.len() as u64) < turns) && (time.is_zero() || begun.elapsed() < time)
    {
        let turn = Instant::now();
        if let Err(error) = writer.turn() {
            errors.push(error.to_string());
            assert!(errors.len() < 1_000, "{}", errors[0]);
        }
        took.push(turn.elapsed());
        std::thread::sleep(think.mul_f64(2.0 * fastrand::f64()));
    }
    let waits: Vec<u128> = took.iter().map(Duration::as_millis).collect();
    json!({
        "last": writer.last,
        "lost": writer.lost,
        "double": writer.double,
        "errors": errors.len(),
        "error": errors.first(),
        "waits_ms": waits,
        "took_ms": begun.elapsed().as_millis(),
    })
}

/// Goes on from the number that is there, for as long as it lives.
pub(super) fn write(cache: &TokenCache, name: &str) -> Value {
    let mut writer = Writer::new(cache, name);
    let found = cache.modify(|transaction| Ok(written(transaction, name)));
    writer.last = found.unwrap();
    let mut stdout = std::io::stdout();
    loop {
        writer.turn().unwrap();
        writeln!(stdout, "{}", writer.last).unwrap();
        stdout.flush().unwrap();
    }
}
