//! Encrypted by the system, as every SDK keeps it here, and without modes.

use std::io;
use std::path::Path;

use msal_token_cache::{DpapiPersistence, Persistence};

use crate::vector::{FileBody, Vector};

/// The variable that names the folder in which the shared cache is.
pub(crate) const HOME: &str = "LOCALAPPDATA";

pub(crate) fn make_private_folder(path: &Path) -> io::Result<()> {
    std::fs::create_dir(path)
}

/// Whether a file is encrypted: a store, but where the vector is about one in plain text that the
/// program does not want. An empty file is empty.
fn is_encrypted(path: &Path, vector: &Vector) -> bool {
    let constructor = &vector.constructor;
    let wants_plain_text =
        constructor.cache_name.is_none() || constructor.allow_unencrypted_storage == Some(true);
    wants_plain_text && path.extension() != Some("lockfile".as_ref())
}

pub(super) fn put(
    path: &Path,
    bytes: &[u8],
    _file: &FileBody,
    vector: &Vector,
) -> Result<(), String> {
    if !bytes.is_empty() && is_encrypted(path, vector) {
        let saved = DpapiPersistence::new(path).save(bytes);
        return saved.map(drop).map_err(|error| error.to_string());
    }
    std::fs::write(path, bytes).map_err(|error| format!("{}: {error}", path.display()))
}

pub(super) fn take(path: &Path, vector: &Vector) -> Result<Vec<u8>, String> {
    if is_encrypted(path, vector) {
        let loaded = DpapiPersistence::new(path).load();
        let loaded = loaded.map_err(|error| error.to_string())?;
        return Ok(loaded.map_or_else(Vec::new, |loaded| loaded.bytes.to_vec()));
    }
    std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// What the vector says of a file that is as it was; one that was written is its owner's.
#[expect(clippy::unnecessary_wraps, reason = "as on Unix")]
pub(super) fn mode(_path: &Path, as_before: Option<&FileBody>) -> Result<String, String> {
    let mode = as_before.and_then(|file| file.mode.clone());
    Ok(mode.unwrap_or_else(|| "0600".to_owned()))
}
