//! In plain text, with modes.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

use crate::vector::{FileBody, Vector};

/// The variable that names the folder in which the shared cache is.
pub(crate) const HOME: &str = "HOME";

pub(crate) fn make_private_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)
}

pub(super) fn put(
    path: &Path,
    bytes: &[u8],
    file: &FileBody,
    _vector: &Vector,
) -> Result<(), String> {
    let failed = |error: io::Error| format!("{}: {error}", path.display());
    fs::write(path, bytes).map_err(failed)?;
    let mode = file.mode.as_deref().unwrap_or("0600");
    let mode = u32::from_str_radix(mode, 8).map_err(|error| error.to_string())?;
    fs::set_permissions(path, Permissions::from_mode(mode)).map_err(failed)
}

pub(super) fn take(path: &Path, _vector: &Vector) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}

pub(super) fn mode(path: &Path, _as_before: Option<&FileBody>) -> Result<String, String> {
    let metadata = fs::metadata(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(format!("{:04o}", metadata.permissions().mode() & 0o7777))
}
