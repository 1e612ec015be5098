use super::*;

const PAGES: [usize; 3] = [4 << 10, 16 << 10, 64 << 10];

#[test]
fn what_a_stack_gives_back_ends_below_the_page_of_the_live_frames() {
    let lowest = 0x7000_0000;
    for page in PAGES {
        // Each place that a frame can have within a page, and stacks that begin amid one.
        for here in (lowest..lowest + 4 * page).step_by(16) {
            for lowest in [lowest, lowest + 16, lowest + 4096] {
                let Some(unused) = unused_stack(lowest, here, page) else {
                    continue;
                };
                assert!(
                    unused.end <= here - here % page,
                    "{page} {here:x} {unused:x?}"
                );
                assert!(unused.start >= lowest, "{page} {here:x} {unused:x?}");
                assert_eq!(unused.start % page, 0, "{page} {here:x} {unused:x?}");
                assert_eq!(unused.len() % page, 0, "{page} {here:x} {unused:x?}");
            }
        }
    }
}

#[test]
fn a_stack_gives_back_all_whole_pages_below_its_frames() {
    let lowest = 0x7000_0000;
    for page in PAGES {
        let top = lowest + 8 * page;
        let here = top - 64;
        assert_eq!(unused_stack(lowest, here, page), Some(lowest..top - page));
        // The frames of the calls need some room: they may be in the page below.
        let here = top - page + 64;
        assert_eq!(
            unused_stack(lowest, here, page),
            Some(lowest..top - 2 * page)
        );
        assert_eq!(unused_stack(lowest, lowest + page / 2, page), None);
        assert_eq!(unused_stack(lowest, lowest, page), None);
    }
    assert_eq!(unused_stack(0, 1, 4096), None);
    assert_eq!(unused_stack(usize::MAX, usize::MAX, 4096), None);
}

#[test]
fn stacks_are_whole_pages_and_as_large_as_wanted_beside_a_guard() {
    for page in PAGES {
        for wanted in [64 << 10, 100 << 10, 128 << 10, 256 << 10] {
            let asked = whole_pages(wanted, page);
            assert_eq!(asked % page, 0);
            assert!(asked - page >= wanted, "{page} {wanted} {asked}");
            assert!(asked - page < wanted + page, "{page} {wanted} {asked}");
        }
    }
    assert!(PAGES.contains(&page_size()), "{}", page_size());
}

/// Bytes of the whole pages of a range that are in memory.
fn resident(range: &Range<usize>) -> usize {
    let page = page_size();
    let (start, end) = (range.start.next_multiple_of(page), range.end / page * page);
    let mut pages = vec![0_u8; (end - start) / page];
    let address = std::ptr::with_exposed_provenance_mut(start);
    // SAFETY: mincore reads nothing of the range, and writes a byte for each of its pages.
    let result = unsafe { libc::mincore(address, end - start, pages.as_mut_ptr()) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
    pages.iter().filter(|flags| **flags & 1 == 1).count() * page
}

#[test]
fn a_thread_gives_its_stack_back_and_lives() {
    /// Fills a good part of the stack below the caller's frame.
    #[inline(never)]
    fn fill() -> u64 {
        let mut used = [0_u8; 192 << 10];
        used.fill(0x5a);
        std::hint::black_box(&used)
            .iter()
            .map(|byte| u64::from(*byte))
            .sum()
    }
    let thread = std::thread::Builder::new().stack_size(stack_size(512 << 10));
    let (before, after) = thread
        .spawn(|| {
            let live = std::hint::black_box([0x77_u8; 64]);
            let here = (&raw const live).addr();
            let range = lowest_stack_address().unwrap()..here;
            assert!(fill() > 0);
            let before = resident(&range);
            release_stack();
            let after = resident(&range);
            assert_eq!(live, [0x77; 64], "live frames are left alone");
            (before, after)
        })
        .unwrap()
        .join()
        .unwrap();
    assert!(before >= 192 << 10, "{before}");
    // Of the page with the live frames on down, a little has been touched since.
    assert!(after <= 2 * page_size().max(16 << 10), "{before} {after}");
}
