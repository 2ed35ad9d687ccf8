//! The names of leases' files: hashes, from which nothing about the work can be read.

use std::fmt::Write;

use sha2::{Digest, Sha256};

const EXTENSION: &str = "lease";
/// The number of bytes of the hash that are in a name.
const NAME_BYTES: usize = 16;
/// The suffix of the name of a successor's file.
pub(super) const SUCCESSOR: &str = "-next";

/// Returns the name of the lease's file, or with [`SUCCESSOR`] that of its successor's.
pub(super) fn file_name(work: &[&str], suffix: &str) -> String {
    let mut hash = Sha256::new();
    for word in work {
        // With its length, so that no two lists of words are the same text.
        hash.update((word.len() as u64).to_le_bytes());
        hash.update(word.as_bytes());
    }
    let hash = hash.finalize();
    let mut name = String::new();
    for byte in &hash[..NAME_BYTES] {
        let _ = write!(name, "{byte:02x}");
    }
    name + suffix + "." + EXTENSION
}

/// Returns `true` for the names that [`file_name`] makes.
#[cfg(unix)]
pub(super) fn is_lease_name(name: &str) -> bool {
    let Some((stem, EXTENSION)) = name.rsplit_once('.') else {
        return false;
    };
    let hash = stem.strip_suffix(SUCCESSOR).unwrap_or(stem);
    hash.len() == 2 * NAME_BYTES && hash.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}
