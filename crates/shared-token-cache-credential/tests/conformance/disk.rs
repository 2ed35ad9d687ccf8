//! The files of a vector: laid out before the call, and read back after it.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

#[cfg(unix)]
pub(crate) use self::unix::{HOME, make_private_folder};
#[cfg(unix)]
use self::unix::{mode, put, take};
#[cfg(windows)]
pub(crate) use self::windows::{HOME, make_private_folder};
#[cfg(windows)]
use self::windows::{mode, put, take};
use crate::outcome::{Content, FileLeft};
use crate::vector::{FileBody, Vector};

pub(crate) fn lay_out(folder: &Path, vector: &Vector) -> Result<(), String> {
    if vector.files.is_empty() {
        return Ok(());
    }
    make_private_folder(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    for (name, file) in &vector.files {
        put(&folder.join(name), &body(name, file)?, file, vector)?;
    }
    Ok(())
}

fn body(name: &str, file: &FileBody) -> Result<Vec<u8>, String> {
    match (&file.json, &file.text, &file.base64) {
        (Some(json), None, None) => Ok(json.to_string().into_bytes()),
        (None, Some(text), None) => Ok(text.clone().into_bytes()),
        (None, None, Some(base64)) => STANDARD.decode(base64).map_err(|e| e.to_string()),
        _ => Err(format!("{name} is not one of json, text and base64")),
    }
}

pub(crate) fn read_back(
    folder: &Path,
    vector: &Vector,
) -> Result<BTreeMap<String, FileLeft>, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", folder.display());
    let mut files = BTreeMap::new();
    if !folder.exists() {
        return Ok(files);
    }
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let bytes = take(&path, vector)?;
        let content = match std::str::from_utf8(&bytes) {
            Ok(text) => Content::of_text(text),
            Err(_) => Content::Base64(STANDARD.encode(&bytes)),
        };
        let before = vector.files.get(&*name);
        let is_as_before = before.is_some_and(|file| body(&name, file) == Ok(bytes));
        let left = FileLeft {
            mode: mode(&path, before.filter(|_| is_as_before))?,
            content,
        };
        files.insert(name.into_owned(), left);
    }
    Ok(files)
}
