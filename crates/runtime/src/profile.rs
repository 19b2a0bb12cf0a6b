//! Where the time goes: while profiling, the driver notes each command's duration by op and shape of its first result (or target).
use crate::dispatch::Op;
use ferrograd_tensor::{DType, Meta};
use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// One line of a profile.
#[derive(Clone, Debug)]
pub struct ProfileRow {
    pub op: &'static str,
    pub dtype: Option<DType>,
    pub dims: Vec<usize>,
    pub calls: u64,
    pub total: Duration,
    /// Bytes of operands and results, all calls together.
    pub bytes: u64,
}

#[derive(PartialEq, Eq, Hash)]
struct Key {
    op: Op,
    dtype: Option<DType>,
    dims: Vec<usize>,
}

#[derive(Default)]
struct Sum {
    calls: u64,
    total: Duration,
    bytes: u64,
}

static ON: AtomicBool = AtomicBool::new(false);
static ROWS: Mutex<Option<HashMap<Key, Sum>>> = Mutex::new(None);

/// Starts noting; what was noted before is forgotten.
pub fn start_profile() {
    *ROWS.lock().unwrap_or_else(|e| e.into_inner()) = Some(HashMap::new());
    ON.store(true, Ordering::Relaxed);
}

/// Stops noting and gives what was noted, the longest first.
pub fn take_profile() -> Vec<ProfileRow> {
    ON.store(false, Ordering::Relaxed);
    let rows = ROWS.lock().unwrap_or_else(|e| e.into_inner()).take().unwrap_or_default();
    let row = |(key, sum): (Key, Sum)| ProfileRow {
        op: key.op.spec().name,
        dtype: key.dtype,
        dims: key.dims,
        calls: sum.calls,
        total: sum.total,
        bytes: sum.bytes,
    };
    let mut rows: Vec<ProfileRow> = rows.into_iter().map(row).collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.total));
    rows
}

/// The start of a command that is to be noted.
pub(crate) fn begin() -> Option<Instant> {
    ON.load(Ordering::Relaxed).then(Instant::now)
}

pub(crate) fn end(op: Op, start: Instant, subject: Option<&Meta>, bytes: usize) {
    let spent = start.elapsed();
    if let Some(rows) = &mut *ROWS.lock().unwrap_or_else(|e| e.into_inner()) {
        let key = Key { op, dtype: subject.map(|m| m.dtype), dims: subject.map_or(Vec::new(), |m| m.dims().to_vec()) };
        let row = rows.entry(key).or_default();
        row.calls += 1;
        row.total += spent;
        row.bytes += bytes as u64;
    }
}
