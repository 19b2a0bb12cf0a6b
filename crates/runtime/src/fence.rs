//! A fence that costs nothing where it stands often. The session publishes a packet and then looks whether the driver is parked; the driver says that
//! it parks and then looks for packets. Each must see the other's store, which takes a full fence on both sides; where the system has
//! `membarrier`, the driver's side (rare) makes the session's threads pass one, and the session's side (each op) is free.
use std::sync::atomic::{Ordering, fence};

#[cfg(target_os = "linux")]
mod membarrier {
    use std::sync::OnceLock;

    const REGISTER_PRIVATE_EXPEDITED: libc::c_int = 1 << 4;
    const PRIVATE_EXPEDITED: libc::c_int = 1 << 3;

    fn call(command: libc::c_int) -> bool {
        // SAFETY: the call takes plain integers and touches no memory of ours.
        unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 }
    }

    /// Registers the process, once. False where the kernel or a sandbox refuses.
    pub fn available() -> bool {
        static AVAILABLE: OnceLock<bool> = OnceLock::new();
        *AVAILABLE.get_or_init(|| call(REGISTER_PRIVATE_EXPEDITED) && call(PRIVATE_EXPEDITED))
    }
    pub fn all_threads() -> bool {
        call(PRIVATE_EXPEDITED)
    }
}

/// The frequent side.
#[inline]
pub fn light() {
    #[cfg(target_os = "linux")]
    if membarrier::available() {
        std::sync::atomic::compiler_fence(Ordering::SeqCst);
        return;
    }
    fence(Ordering::SeqCst);
}

/// The rare side.
pub fn heavy() {
    #[cfg(target_os = "linux")]
    if membarrier::available() && membarrier::all_threads() {
        return;
    }
    fence(Ordering::SeqCst);
}
