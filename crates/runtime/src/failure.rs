//! Late errors: what shows only when a command runs. The failure poisons the results that depend on it and waits there to be read.
use ferrograd_tensor::ErrorKind;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

pub struct Failure {
    pub kind: ErrorKind,
    pub op: &'static str,
    pub message: String,
    /// Number of the module path that the binding keeps; 0 outside any module.
    pub module: u32,
    /// The command's number in its stream.
    pub sequence: u64,
    seen: AtomicBool,
}

/// Messages of failures that were dropped without ever reaching anyone, for the process warning.
static UNSEEN: Mutex<Vec<String>> = Mutex::new(Vec::new());
static ANY_UNSEEN: AtomicBool = AtomicBool::new(false);

impl Failure {
    pub fn new(kind: ErrorKind, op: &'static str, message: String, module: u32, sequence: u64) -> Failure {
        Failure { kind, op, message, module, sequence, seen: AtomicBool::new(false) }
    }
    /// Says that somebody will hear of it. True the first time.
    pub fn mark_seen(&self) -> bool {
        !self.seen.swap(true, Ordering::Relaxed)
    }
    /// One line for a warning.
    pub fn describe(&self) -> String {
        format!("{}: {} (command {})", self.op, self.message, self.sequence)
    }
    pub fn is_seen(&self) -> bool {
        self.seen.load(Ordering::Relaxed)
    }
}

impl Drop for Failure {
    fn drop(&mut self) {
        if !*self.seen.get_mut() && self.kind != ErrorKind::Cancelled {
            let mut unseen = UNSEEN.lock().unwrap_or_else(|e| e.into_inner());
            // A loop that never reads would grow this without end; the first few tell the story.
            if unseen.len() < 16 {
                ANY_UNSEEN.store(true, Ordering::Relaxed);
                unseen.push(self.describe());
            }
        }
    }
}

/// True while there are failures for `take_unseen`.
pub fn has_unseen() -> bool {
    ANY_UNSEEN.load(Ordering::Relaxed)
}

/// The failures nobody read since the last call.
pub fn take_unseen() -> Vec<String> {
    ANY_UNSEEN.store(false, Ordering::Relaxed);
    std::mem::take(&mut *UNSEEN.lock().unwrap_or_else(|e| e.into_inner()))
}
