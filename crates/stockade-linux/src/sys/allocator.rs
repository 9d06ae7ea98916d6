#![allow(unsafe_code, reason = "an allocator hands out memory")]
//! The allocator of the `stockade` program where the C library is musl, whose own takes half a millisecond more for what happens
//! before the command starts.
//!
//! Memory comes from the system in pieces that are there at once (`MAP_POPULATE`): to have the kernel add each page when it is
//! first touched takes several times as long.

use std::alloc::{GlobalAlloc, Layout};
use std::ptr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use dlmalloc::{Allocator as Source, Dlmalloc};

/// What is asked of the system at once: what planning and starting take, as a rule.
const PIECE: usize = 256 << 10;

/// The allocator.
#[derive(Debug)]
pub struct Allocator {
    heap: Heap,
}

struct Heap(Mutex<Dlmalloc<Populated>>);

impl std::fmt::Debug for Heap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Heap")
    }
}

impl Allocator {
    /// An allocator that has no memory yet.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "there is one, and it is a constant")]
    pub const fn new() -> Self {
        let mut heap = Dlmalloc::new_with_allocator(Populated);
        assert!(heap.set_granularity(PIECE), "a power of two");
        Self { heap: Heap(Mutex::new(heap)) }
    }

    fn heap(&self) -> MutexGuard<'_, Dlmalloc<Populated>> {
        // Nothing panics while it is held.
        self.heap.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// SAFETY: every block comes from a heap that is used by one thread at a time, and goes back to the same with the layout that it was
// allocated with, which the callers of this trait promise. The heap itself allocates by `mmap(2)` only.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the layout is valid, as the caller promises.
        unsafe { self.heap().malloc(layout.size(), layout.align()) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the block is from this heap and has this layout, as the caller promises.
        unsafe { self.heap().free(block, layout.size(), layout.align()) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the layout is valid, as the caller promises.
        unsafe { self.heap().calloc(layout.size(), layout.align()) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the block is from this heap and has this layout, as the caller promises.
        unsafe { self.heap().realloc(block, layout.size(), layout.align(), size) }
    }
}

/// Memory that is there at once.
struct Populated;

// SAFETY: the regions are mappings of their own, of the size that is told, and filled with zeros by the kernel.
unsafe impl Source for Populated {
    fn alloc(&self, size: usize) -> (*mut u8, usize, u32) {
        // What is large may never be used in full.
        let populate = if size <= PIECE { libc::MAP_POPULATE } else { 0 };
        let flags = libc::MAP_ANONYMOUS | libc::MAP_PRIVATE | populate;
        // SAFETY: a new mapping, wherever there is room.
        let region = unsafe { libc::mmap(ptr::null_mut(), size, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) };
        if region == libc::MAP_FAILED { (ptr::null_mut(), 0, 0) } else { (region.cast(), size, 0) }
    }

    fn remap(&self, region: *mut u8, size: usize, new_size: usize, can_move: bool) -> *mut u8 {
        let flags = if can_move { libc::MREMAP_MAYMOVE } else { 0 };
        // SAFETY: the region is one that `alloc` mapped, and the heap uses what this returns in its place.
        let region = unsafe { libc::mremap(region.cast(), size, new_size, flags) };
        if region == libc::MAP_FAILED { ptr::null_mut() } else { region.cast() }
    }

    fn free_part(&self, region: *mut u8, size: usize, new_size: usize) -> bool {
        // SAFETY: the end of a region that `alloc` mapped, which the heap uses no more.
        unsafe { libc::munmap(region.add(new_size).cast(), size - new_size) == 0 }
    }

    fn free(&self, region: *mut u8, size: usize) -> bool {
        // SAFETY: a region that `alloc` mapped, which the heap uses no more.
        unsafe { libc::munmap(region.cast(), size) == 0 }
    }

    fn can_release_part(&self, _flags: u32) -> bool {
        true
    }

    fn allocates_zeros(&self) -> bool {
        true
    }

    fn page_size(&self) -> usize {
        // A multiple of every size that pages have.
        64 << 10
    }
}
