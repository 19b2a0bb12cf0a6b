//! Memory between two pages that nobody may touch, so that an access out of bounds ends the test.
use std::cell::{Cell, RefCell};

/// Which end of the memory touches a forbidden page.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Side {
    First,
    Last,
}

/// Pages with a forbidden one on either side.
struct Mapping {
    base: *mut u8,
    bytes: usize,
}

/// What the bytes of a mapping hold outside of the operand.
const AROUND: u8 = 0xa5;

thread_local! {
    /// Mappings to be used again, for a kernel asks the system for none.
    static SPARE: RefCell<Vec<Mapping>> = const { RefCell::new(Vec::new()) };
    /// What runs on this thread, for the message of a fault.
    static RUNNING: Cell<(*const u8, usize)> = const { Cell::new((std::ptr::null(), 0)) };
}

fn page() -> usize {
    // SAFETY: asks for a number.
    unsafe { libc::sysconf(libc::_SC_PAGESIZE) as usize }
}

impl Mapping {
    fn take(bytes: usize) -> Mapping {
        let bytes = bytes.next_multiple_of(page()).max(page());
        let spare = SPARE.with_borrow_mut(|all| all.iter().position(|m| m.bytes == bytes).map(|at| all.swap_remove(at)));
        spare.unwrap_or_else(|| {
            // SAFETY: a fresh mapping, of which all but the first and the last page are opened.
            unsafe {
                let flags = libc::MAP_PRIVATE | libc::MAP_ANON;
                let start = libc::mmap(std::ptr::null_mut(), bytes + 2 * page(), libc::PROT_NONE, flags, -1, 0);
                assert_ne!(start, libc::MAP_FAILED, "no memory for {bytes} bytes between guards");
                let base = start.byte_add(page());
                assert_eq!(libc::mprotect(base, bytes, libc::PROT_READ | libc::PROT_WRITE), 0, "pages could not be opened");
                Mapping { base: base.cast(), bytes }
            }
        })
    }
}

/// `len` bytes that touch a forbidden page.
pub struct Guarded {
    mapping: Mapping,
    from: usize,
    len: usize,
}

impl Guarded {
    /// `align`: with the end at the forbidden page the start is aligned all the same, and the end up to so many bytes away.
    pub fn new(len: usize, align: usize, side: Side) -> Guarded {
        let mapping = Mapping::take(len);
        let from = if side == Side::First { 0 } else { (mapping.bytes - len) / align * align };
        // SAFETY: the open part of the mapping, which is ours.
        unsafe { mapping.base.write_bytes(AROUND, mapping.bytes) };
        Guarded { mapping, from, len }
    }
    pub fn start(&self) -> *mut u8 {
        // SAFETY: inside the mapping, or its end.
        unsafe { self.mapping.base.add(self.from) }
    }
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: open bytes of our own, all written when they were taken.
        unsafe { std::slice::from_raw_parts(self.start(), self.len) }
    }
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: open bytes of our own, all written when they were taken.
        unsafe { std::slice::from_raw_parts_mut(self.start(), self.len) }
    }
    /// True where nobody has written beside the bytes.
    pub fn is_whole(&self) -> bool {
        // SAFETY: as above.
        let all = unsafe { std::slice::from_raw_parts(self.mapping.base, self.mapping.bytes) };
        all[..self.from].iter().chain(&all[self.from + self.len..]).all(|&b| b == AROUND)
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        let mapping = Mapping { ..self.mapping };
        SPARE.with_borrow_mut(|all| all.push(mapping));
    }
}

/// Runs `f`; a fault meanwhile prints `name` before it ends the process, and so does a panic.
pub fn named<R>(name: &str, f: impl FnOnce() -> R) -> R {
    struct Running<'a>(&'a str);
    impl Drop for Running<'_> {
        fn drop(&mut self) {
            RUNNING.set((std::ptr::null(), 0));
            if std::thread::panicking() {
                eprintln!("in {}", self.0);
            }
        }
    }
    RUNNING.set((name.as_ptr(), name.len()));
    let _running = Running(name);
    f()
}

extern "C" fn fault(signal: libc::c_int) {
    let (name, len) = RUNNING.get();
    let say = |text: *const u8, len: usize| {
        // SAFETY: readable bytes; `write` may be called in a handler.
        unsafe { libc::write(2, text.cast(), len) };
    };
    let before = b"\nmemory out of bounds was touched by ";
    say(before.as_ptr(), before.len());
    say(name, len);
    say(b"\n".as_ptr(), 1);
    // SAFETY: the default action ends the process when the faulting instruction runs again.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
}

/// Has faults name what runs.
pub fn catch_faults() {
    for signal in [libc::SIGSEGV, libc::SIGBUS] {
        // SAFETY: the handler calls nothing that a handler may not.
        unsafe { libc::signal(signal, fault as *const () as libc::sighandler_t) };
    }
}
