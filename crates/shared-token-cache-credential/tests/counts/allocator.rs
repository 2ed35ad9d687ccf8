//! An allocator that counts for the thread that asks it to.

#![allow(
    clippy::missing_const_for_thread_local,
    reason = "it is const; for Windows the lint looks at what the macro makes of it"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    /// How often this thread has allocated, since it began to count.
    static COUNT: Cell<Option<usize>> = const { Cell::new(None) };
}

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

#[expect(
    unsafe_code,
    reason = "an allocator is unsafe by its trait; this one hands everything on to the system's"
)]
// SAFETY: every call goes to the system's allocator as it is. Counting allocates nothing itself:
// the cell is constant from the start and has no destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.set(COUNT.get().map(|count| count + 1));
        // SAFETY: the caller keeps the contract of this very function.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract, and the block came from there.
        unsafe { System.dealloc(block, layout) }
    }
}

/// How often this thread allocates while it does that.
pub(crate) fn allocations(work: impl FnOnce()) -> usize {
    COUNT.set(Some(0));
    work();
    COUNT.take().unwrap_or_default()
}

#[test]
fn what_allocates_is_counted() {
    assert_eq!(allocations(|| ()), 0);
    assert_eq!(allocations(|| drop(std::hint::black_box(Box::new(7)))), 1);
    assert!(allocations(|| drop(std::hint::black_box("text".to_owned() + "x"))) > 0);
}
