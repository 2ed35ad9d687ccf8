//! Writes a store that others write: under its lock, and again if a peer ignored that.

use std::sync::{Mutex, PoisonError};

use super::limit;
use super::observation::Observation;
use super::published::State;
use super::reading::{Read, Reader};
use crate::error::{Error, ErrorKind, Result};
use crate::transaction::Transaction;

/// The number of attempts to apply a modification to content that keeps changing.
const ATTEMPTS: usize = 5;
/// The number of times that an overwritten modification is applied again.
const REPAIRS: usize = 2;

/// Admits one writer of this process at a time. The store's lock keeps out other processes.
pub(super) struct Writer {
    turn: Mutex<()>,
}

impl Writer {
    pub(super) const fn new() -> Self {
        Self {
            turn: Mutex::new(()),
        }
    }

    /// Changes the content of the reader's store, by the rules of `TokenCache::modify`.
    pub(super) fn modify<T>(
        &self,
        reader: &Reader,
        mut edit: impl FnMut(&mut Transaction) -> Result<T>,
    ) -> Result<T> {
        // Nothing that a panic could leave half done is behind this lock.
        let _one_at_a_time = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut answer, mut committed) = commit(reader, &mut edit)?;
        for _ in 0..REPAIRS {
            let repaired = match reader.observe() {
                Ok(now) if now == committed => break,
                // Mostly that was a good neighbour, who built upon ours. The lock is asked for
                // only if not: among busy writers everybody would take it twice.
                Ok(_) => match already_applied(reader, &mut edit) {
                    Some(newer) => Ok(newer),
                    None => commit(reader, &mut edit),
                },
                Err(error) => Err(error),
            };
            match repaired {
                Ok(newer) => (answer, committed) = newer,
                Err(error) => {
                    // The commit stands all the same.
                    tracing::debug!(%error, "the token cache could not be looked at after a write");
                    break;
                }
            }
        }
        Ok(answer)
    }
}

/// Applies a modification. Returns its result and the content that it left behind.
fn commit<T>(
    reader: &Reader,
    edit: &mut impl FnMut(&mut Transaction) -> Result<T>,
) -> Result<(T, Observation)> {
    for _ in 0..ATTEMPTS {
        let guard = reader.store.lock()?;
        let (snapshot, look) = reader.read_for_writing()?;
        let before = snapshot.document().text().len();
        let mut transaction = Transaction::on(snapshot);
        let answer = edit(&mut transaction)?;
        let edited = transaction.snapshot();
        if !transaction.is_changed() {
            // Not published: over content that looks torn, readers keep the last good one.
            return Ok((answer, look));
        }
        // The last look: a peer may have written without the lock, or deleted our lock file.
        let is_current = || guard.is_held() && reader.observe().is_ok_and(|now| now == look);
        let text = edited.document().text();
        let max_bytes = reader.store.max_bytes();
        limit::check(before, text.len(), max_bytes, || reader.store.location())?;
        let saved = reader.store.save_if(text.as_bytes(), &is_current)?;
        if let Some(stamp) = saved {
            let saved = Observation::Stamped(Some(stamp));
            reader.published.publish(State::of(edited, saved), None);
            return Ok((answer, saved));
        }
    }
    Err(Error::new(
        ErrorKind::Locked,
        format!(
            "{} kept changing under its lock; nothing was written",
            reader.store.location()
        ),
    ))
}

/// Returns the modification's result, if the present content has the modification already.
fn already_applied<T>(
    reader: &Reader,
    edit: &mut impl FnMut(&mut Transaction) -> Result<T>,
) -> Option<(T, Observation)> {
    let Ok(Read::Whole(snapshot, look)) = reader.read_once() else {
        return None;
    };
    let mut transaction = Transaction::on(snapshot);
    let answer = edit(&mut transaction).ok()?;
    (!transaction.is_changed()).then_some((answer, look))
}
