//! The heap and its pages. Called at the start, and before a thread is started.

/// Makes glibc give freed memory of 128 KiB and more back to the system at once.
///
/// Its threshold otherwise adapts to what scrypt frees (16 MiB), and each hashing thread's arena
/// keeps that: 60 threads once left 347 to 527 MB resident; 2.7 MB with this.
pub(crate) fn keep_heap_small() {
    #[cfg(target_env = "gnu")]
    // SAFETY: mallopt only sets a number inside the allocator; called before other threads start.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 128 << 10);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 256 << 10);
        // Arenas multiply what is freed but not returned; sessions allocate little and rarely.
        libc::mallopt(libc::M_ARENA_MAX, 4);
    }
}

/// Gives the system back what is free in the heap, also between what is used: after a start, 150 of
/// 800 KiB.
pub(crate) fn give_back_heap() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim takes the allocator's own locks and touches nothing that is in use.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Whether the system would map `size` more bytes for this process now.
///
/// The allocator is not asked, since it may have that much left of what it was given earlier, and a
/// thread's stack cannot be had of that.
pub(crate) fn could_map(size: usize) -> bool {
    let (protection, flags) = (
        libc::PROT_READ | libc::PROT_WRITE,
        libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
    );
    // SAFETY: a new mapping, wherever the system wants it, touches nothing that is there.
    let probe = unsafe { libc::mmap(std::ptr::null_mut(), size, protection, flags, -1, 0) };
    if probe == libc::MAP_FAILED {
        return false;
    }
    // SAFETY: the mapping was made above, of this size, and nobody knows of it.
    unsafe { libc::munmap(probe, size) };
    true
}

/// Bytes of a page of memory: 4 KiB on most machines, 16 KiB on a Raspberry Pi 5, up to 64 KiB.
pub(crate) fn page_size() -> usize {
    /// The largest there is: what is a multiple of it is one of each smaller one.
    const LARGEST: usize = 64 << 10;
    // SAFETY: sysconf reads what the process was given at its start.
    let bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    let bytes = usize::try_from(bytes).unwrap_or(0);
    // Anything else is no page size, and would make the arithmetic of `threads` divide by zero.
    if bytes.is_power_of_two() {
        bytes
    } else {
        LARGEST
    }
}
