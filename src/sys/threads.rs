//! A thread's stack and priority. Each call is about the calling thread.

use std::mem::MaybeUninit;
use std::ops::Range;

use super::page_size;

/// Gives the system back what a fresh thread's stack has kept of its earlier owner.
///
/// glibc uses the stacks of ended threads again and leaves their lowest touched 16 KiB resident;
/// an idle connection needs 8 KiB altogether.
#[inline(never)]
pub(crate) fn release_stack() {
    let Some(lowest) = lowest_stack_address() else {
        return;
    };
    let here = 0_u8;
    let Some(unused) = unused_stack(lowest, (&raw const here).addr(), page_size()) else {
        return;
    };
    // SAFETY: the range is this thread's own stack, in whole pages strictly below every live frame,
    // with room for the call itself: nothing in it will be read before it is written again. What
    // is given back reads as zero.
    unsafe {
        libc::madvise(
            std::ptr::with_exposed_provenance_mut(unused.start),
            unused.len(),
            libc::MADV_DONTNEED,
        );
    }
}

/// The whole pages of a stack that lie below the frame with the address `here`; None when there
/// are none.
///
/// madvise(2) takes only an aligned start, and rounds the length **up** to whole pages. So the end
/// has to be that of a page too, or the page with the live frames goes along.
fn unused_stack(lowest: usize, here: usize, page: usize) -> Option<Range<usize>> {
    /// Room for the frames of the calls that `release_stack` makes.
    const SLACK: usize = 1 << 10;
    let start = lowest.checked_next_multiple_of(page)?;
    let here = here.checked_sub(SLACK)?;
    let end = here - here % page;
    (start < end).then_some(start..end)
}

/// The size to ask for so that a thread has a stack of `wanted` bytes: whole pages, and one more,
/// since glibc before 2.27 takes the guard page out of what is asked for. With pages of 64 KiB that
/// would be half of it.
pub(crate) fn stack_size(wanted: usize) -> usize {
    whole_pages(wanted, page_size())
}

fn whole_pages(wanted: usize, page: usize) -> usize {
    wanted.next_multiple_of(page) + page
}

/// Where the calling thread's stack ends, above its guard.
fn lowest_stack_address() -> Option<usize> {
    let mut attributes = MaybeUninit::<libc::pthread_attr_t>::uninit();
    let (mut address, mut size, mut guard) = (std::ptr::null_mut(), 0, 0);
    // SAFETY: pthread_getattr_np initialises the attributes, which are read and destroyed only if
    // it has; the other pointers are to locals that live through the calls.
    unsafe {
        if libc::pthread_getattr_np(libc::pthread_self(), attributes.as_mut_ptr()) != 0 {
            return None;
        }
        libc::pthread_attr_getstack(attributes.as_ptr(), &raw mut address, &raw mut size);
        libc::pthread_attr_getguardsize(attributes.as_ptr(), &raw mut guard);
        libc::pthread_attr_destroy(attributes.as_mut_ptr());
    }
    // glibc before 2.27 counts the guard as stack. Where it is not counted, one page too many is
    // left alone: it is the lowest, which hardly any thread ever reaches.
    address.expose_provenance().checked_add(guard)
}

/// Makes the calling thread give way to the others of the process and the machine: for hashing,
/// which takes a core for a tenth of a second at a time.
pub(crate) fn give_way() {
    /// Half-way to the weakest.
    const NICE: libc::c_int = 10;
    // SAFETY: on Linux 0 means the calling thread alone; the call touches no memory of ours.
    unsafe {
        libc::setpriority(libc::PRIO_PROCESS, 0, NICE);
    }
}

#[cfg(test)]
mod tests;
