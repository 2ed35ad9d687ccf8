//! The stores in a platform's keyring, which encrypts them.

mod item;
#[cfg(target_os = "macos")]
mod keychain;
#[cfg(target_os = "linux")]
mod secret_service;
mod shared_load;

#[cfg(target_os = "macos")]
pub use keychain::KeychainPersistence;
#[cfg(target_os = "linux")]
pub use secret_service::SecretServicePersistence;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use zeroize::Zeroizing;

use self::item::{Item, LoadOutcome};
use self::shared_load::SharedLoad;
use crate::error::{Error, ErrorKind, Result};
use crate::fs::stamp::Stamp;
use crate::persistence::file::FilePersistence;
use crate::persistence::{Loaded, Persistence, StoreLock};

/// A cache in an item of the platform's keyring, with a signal file that tells when it changed.
///
/// Each writer of the item touches the file. So readers look at the file, and ask the keyring only
/// if the file has changed; the lock is the file's, too. In the same file the other SDKs keep the
/// cache in plain text, on a machine where they cannot encrypt it. If that is allowed, it is read
/// while the platform has no keyring or the keyring no such item. Each load asks for both, so a
/// keyring or an item that appears later is used from the next change of the file on.
pub(crate) struct KeyringPersistence<I> {
    item: I,
    loads: SharedLoad,
    file: FilePersistence,
    allows_plain_text: bool,
    choice: ArcSwap<Choice>,
    had_item: AtomicBool,
}

/// The source of the content, as of the last load.
enum Choice {
    Unknown,
    Platform {
        has_item: bool,
        /// The file has content, which is not used.
        beside_plain_text: bool,
    },
    /// In the file, in plain text, with the reason.
    PlainText(String),
}

impl Choice {
    /// Returns the number of the source that the content is read from.
    fn source(&self) -> u8 {
        match self {
            Self::Unknown => 0,
            Self::Platform {
                has_item: false, ..
            } => 1,
            Self::Platform { has_item: true, .. } => 2,
            Self::PlainText(_) => 3,
        }
    }
}

/// The stamp of a missing file.
const NO_FILE: Stamp = Stamp::new([0; 5]);
/// A cache without entries.
const EMPTY: &[u8] = b"{}";

impl<I: Item> KeyringPersistence<I> {
    /// Creates the store of the cache in this item, with the signal file at this path; nothing is
    /// opened yet.
    pub(crate) fn new(item: I, path: PathBuf) -> Self {
        Self {
            item,
            loads: SharedLoad::default(),
            file: FilePersistence::new(path),
            allows_plain_text: false,
            choice: ArcSwap::from_pointee(Choice::Unknown),
            had_item: AtomicBool::new(false),
        }
    }

    #[cfg(target_os = "linux")]
    pub(crate) fn with_item(mut self, with: impl FnOnce(I) -> I) -> Self {
        self.item = with(self.item);
        self
    }

    pub(crate) fn with_lock_timeout(mut self, lock_timeout: Duration) -> Self {
        self.file = self.file.with_lock_timeout(lock_timeout);
        self
    }

    /// Sets whether the file may be used in plain text if the keyring has no such item.
    #[cfg(any(target_os = "linux", test))]
    pub(crate) fn with_plain_text(mut self, allow: bool) -> Self {
        self.allows_plain_text = allow;
        self
    }

    /// Returns the stamp of the content when the file has this stamp. The source of the content is
    /// a part of it: a writer that has read one source must not write to another.
    fn stamp_at(&self, file: Option<Stamp>) -> Stamp {
        stamp_at(&self.choice.load(), file)
    }

    /// Returns `true` if the file may be read in place of the item. After an item was read it may
    /// not: the account must not depend on whether a service runs.
    fn may_read_plain_text(&self) -> bool {
        self.allows_plain_text && !self.had_item.load(Ordering::Relaxed)
    }
}

fn stamp_at(choice: &Choice, file: Option<Stamp>) -> Stamp {
    file.unwrap_or(NO_FILE).of_source(choice.source())
}

impl<I: Item> Persistence for KeyringPersistence<I> {
    fn location(&self) -> String {
        match **self.choice.load() {
            Choice::PlainText(_) => self.file.location(),
            _ => self.item.location(),
        }
    }

    fn is_encrypted(&self) -> bool {
        match **self.choice.load() {
            Choice::Unknown => !self.allows_plain_text,
            Choice::Platform { .. } => true,
            Choice::PlainText(_) => false,
        }
    }

    fn note(&self) -> Option<String> {
        match &**self.choice.load() {
            Choice::Platform {
                beside_plain_text: true,
                ..
            } => {
                let file = self.file.location();
                Some(format!("the plain text in {file} is not used"))
            }
            Choice::PlainText(why) => Some(format!("in plain text, because {why}")),
            Choice::Platform { .. } | Choice::Unknown => None,
        }
    }

    fn stamp(&self) -> Result<Option<Stamp>> {
        let file = self.file.stamp()?;
        Ok(Some(self.stamp_at(file)))
    }

    fn quick_stamp(&self) -> Result<Option<Stamp>> {
        let file = self.file.quick_stamp()?;
        Ok(Some(self.stamp_at(file)))
    }

    fn tick(&self) -> Option<u64> {
        self.file.tick()
    }

    /// Loads an empty cache if both item and file are missing.
    fn load(&self) -> Result<Option<Loaded>> {
        // First, so that a later change has another stamp.
        let file = self.file.load()?;
        let stamp = file.as_ref().map(|file| file.stamp);
        let text = file.map(|file| file.bytes);
        let has_text = text.as_ref().is_some_and(|text| !text.is_empty());
        let in_platform = |has_item| Choice::Platform {
            has_item,
            beside_plain_text: has_text,
        };
        let (bytes, choice) = match self.loads.load(&self.item)? {
            LoadOutcome::Content(content) => {
                self.had_item.store(true, Ordering::Relaxed);
                (Some(content), in_platform(true))
            }
            LoadOutcome::NoItem if has_text && self.may_read_plain_text() => {
                let why = format!("there is no {}", self.item.location());
                (text, Choice::PlainText(why))
            }
            LoadOutcome::NoItem => (None, in_platform(false)),
            // An empty file may be one that a peer is just writing: it is returned as it is.
            LoadOutcome::NoStore(why, _) if self.may_read_plain_text() => {
                (text, Choice::PlainText(why))
            }
            // The item was there before, so the platform does have a keyring.
            LoadOutcome::NoStore(_, error) if self.had_item.load(Ordering::Relaxed) => {
                return Err(Error::new(ErrorKind::Io, error.to_string()).with_source(error));
            }
            LoadOutcome::NoStore(_, error) => return Err(error),
        };
        let bytes = bytes.unwrap_or_else(|| Zeroizing::new(EMPTY.to_vec()));
        let stamp = stamp_at(&choice, stamp);
        self.choice.store(Arc::new(choice));
        Ok(Some(Loaded { bytes, stamp }))
    }

    /// An item is read whatever its length; a platform that does not take so much says so.
    fn max_bytes(&self) -> Option<u64> {
        match **self.choice.load() {
            Choice::PlainText(_) => self.file.max_bytes(),
            Choice::Unknown | Choice::Platform { .. } => None,
        }
    }

    fn lock(&self) -> Result<Box<dyn StoreLock>> {
        if !matches!(**self.choice.load(), Choice::PlainText(_)) {
            self.item.unlock()?;
        }
        self.file.lock()
    }

    fn save(&self, content: &[u8]) -> Result<Stamp> {
        let saved = self.save_if(content, &|| true)?;
        saved.ok_or_else(|| {
            let text = format!("{} changed while it was written", self.location());
            Error::new(ErrorKind::Io, text)
        })
    }

    fn lease_folder(&self) -> Option<PathBuf> {
        self.file.lease_folder()
    }

    fn save_if(&self, content: &[u8], is_current: &dyn Fn() -> bool) -> Result<Option<Stamp>> {
        let choice = self.choice.load_full();
        let is_current = || is_current() && self.choice.load().source() == choice.source();
        if let Choice::PlainText(_) = *choice {
            let file = self.file.stamp()?;
            if file.is_some_and(|file| file.file_length() == 0) {
                let text = format!(
                    "{} is empty, as beside an encrypted cache; it is left as it is",
                    self.file.location()
                );
                return Err(Error::new(ErrorKind::UnsupportedFormat, text));
            }
            let saved = self.file.save_if(content, &is_current)?;
            return Ok(saved.map(|file| stamp_at(&choice, Some(file))));
        }
        if !self.item.save_if(content, &is_current)? {
            return Ok(None);
        }
        self.had_item.store(true, Ordering::Relaxed);
        let choice = Arc::new(Choice::Platform {
            has_item: true,
            beside_plain_text: matches!(
                *choice,
                Choice::Platform {
                    beside_plain_text: true,
                    ..
                }
            ),
        });
        let stamp = stamp_at(&choice, Some(self.file.touch()?));
        self.choice.store(choice);
        Ok(Some(stamp))
    }
}

impl<I: Item> fmt::Debug for KeyringPersistence<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyringPersistence")
            .field("item", &self.item)
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

/// Implements [`Persistence`] for a type that wraps a [`KeyringPersistence`].
macro_rules! delegate_persistence {
    ($wrapper:ty) => {
        impl Persistence for $wrapper {
            fn location(&self) -> String {
                self.0.location()
            }

            fn stamp(&self) -> Result<Option<Stamp>> {
                self.0.stamp()
            }

            fn quick_stamp(&self) -> Result<Option<Stamp>> {
                self.0.quick_stamp()
            }

            fn is_encrypted(&self) -> bool {
                self.0.is_encrypted()
            }

            fn note(&self) -> Option<String> {
                self.0.note()
            }

            fn tick(&self) -> Option<u64> {
                self.0.tick()
            }

            fn load(&self) -> Result<Option<Loaded>> {
                self.0.load()
            }

            fn load_quickly(&self) -> Option<Result<Option<Loaded>>> {
                self.0.load_quickly()
            }

            fn max_bytes(&self) -> Option<u64> {
                self.0.max_bytes()
            }

            fn lock(&self) -> Result<Box<dyn StoreLock>> {
                self.0.lock()
            }

            fn save(&self, content: &[u8]) -> Result<Stamp> {
                self.0.save(content)
            }

            fn lease_folder(&self) -> Option<PathBuf> {
                self.0.lease_folder()
            }

            fn save_if(
                &self,
                content: &[u8],
                is_current: &dyn Fn() -> bool,
            ) -> Result<Option<Stamp>> {
                self.0.save_if(content, is_current)
            }
        }
    };
}
use delegate_persistence;

#[cfg(test)]
mod tests;
