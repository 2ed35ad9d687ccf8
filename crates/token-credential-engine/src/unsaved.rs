//! The knowledge beyond the store, as one value that is replaced as a whole.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;

/// The results that the store does not hold yet, and anything else that has to change with them.
///
/// A [`Source`](crate::Source) says of what type that is. Each change replaces the value as a
/// whole, so no reader sees half of one.
#[derive(Debug, Default)]
pub struct Unsaved<T> {
    value: ArcSwap<T>,
    /// Counts the changes, each after it was made.
    changes: AtomicU64,
}

/// An [`Unsaved`] as it was at a look at the store.
#[derive(Debug)]
pub struct UnsavedView<T> {
    before: Arc<T>,
    after: Arc<T>,
    changes: u64,
}

impl<T> UnsavedView<T> {
    /// Returns the value from before the store was read. A result that moved into the store
    /// meanwhile is in both, and never in neither.
    pub fn before_reading(&self) -> &T {
        &self.before
    }

    /// Returns the value from after the store was read. A token that moved out of the store
    /// meanwhile is in both, and never in neither.
    pub fn after_reading(&self) -> &T {
        &self.after
    }

    /// Returns `true` if nothing has changed in between.
    pub(crate) fn is_of_same_time(&self, other: &Self) -> bool {
        self.changes == other.changes
    }
}

impl<T> Unsaved<T> {
    /// Returns the present value.
    pub fn load(&self) -> Arc<T> {
        self.value.load_full()
    }

    /// Replaces the value by a function of it, which may run again if another change interferes.
    pub fn change(&self, mut change: impl FnMut(&T) -> T) {
        self.value.rcu(|value| change(value));
        self.changes.fetch_add(1, Ordering::Release);
    }

    /// Returns the view for a look at the store that is about to begin.
    pub fn view(&self) -> UnsavedView<T> {
        // The count first: a change in between then shows.
        let changes = self.changes.load(Ordering::Acquire);
        let before = self.load();
        UnsavedView {
            after: Arc::clone(&before),
            before,
            changes,
        }
    }

    /// Completes a view once the store was read.
    pub fn complete(&self, view: UnsavedView<T>) -> UnsavedView<T> {
        UnsavedView {
            after: self.load(),
            ..view
        }
    }

    /// Returns `true` if nothing has changed since.
    #[inline]
    pub fn is_at(&self, view: &UnsavedView<T>) -> bool {
        self.changes.load(Ordering::Acquire) == view.changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_outdates_every_view() {
        let unsaved = Unsaved::<Vec<u8>>::default();
        let view = unsaved.view();
        assert!(unsaved.is_at(&view) && unsaved.view().is_of_same_time(&view));
        unsaved.change(|value| [value.as_slice(), &[1]].concat());
        assert!(!unsaved.is_at(&view) && !unsaved.view().is_of_same_time(&view));
        assert_eq!(*unsaved.load(), [1]);
    }

    #[test]
    fn a_view_has_the_values_from_before_and_after_a_look() {
        let unsaved = Unsaved::<Vec<u8>>::default();
        unsaved.change(|_| vec![1]);
        let view = unsaved.view();
        unsaved.change(|_| vec![2]);
        let view = unsaved.complete(view);
        assert_eq!(
            (view.before_reading(), view.after_reading()),
            (&vec![1], &vec![2])
        );
        // The change in between still shows.
        assert!(!unsaved.is_at(&view));
    }
}
