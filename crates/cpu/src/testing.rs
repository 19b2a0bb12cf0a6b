//! What kernels' tests share: a serial fork-join, a context over scratch of a given size, every vector path in turn.
use ferrograd_simd::{Isa, with_isa};
use ferrograd_tensor::{Cx, Parallel};

/// Runs tasks one after the other, last first: a kernel whose tasks depend on their order fails its tests.
pub struct Serial;

impl Parallel for Serial {
    fn run(&self, count: usize, task: &(dyn Fn(usize, usize) + Sync)) {
        (0..count).rev().for_each(|i| task(i, 0));
    }
    fn threads(&self) -> usize {
        1
    }
}

/// Calls `f` with a context that has `scratch` bytes, 64-byte aligned and filled with NaN patterns.
pub fn run<R>(scratch: usize, f: impl FnOnce(&mut Cx) -> R) -> R {
    #[repr(align(64))]
    #[derive(Clone, Copy)]
    struct Line {
        _bytes: [u8; 64],
    }
    let mut lines = vec![Line { _bytes: [0xff; 64] }; scratch.div_ceil(64)];
    // SAFETY: lines are plain bytes, borrowed mutably for the call.
    let bytes = unsafe { std::slice::from_raw_parts_mut(lines.as_mut_ptr().cast::<u8>(), lines.len() * 64) };
    f(&mut Cx::new(&Serial, bytes, 0))
}

/// Calls `f` once for each vector path that this machine has, with that path in force on this thread.
pub fn each_isa(mut f: impl FnMut(Isa)) {
    for isa in Isa::available() {
        with_isa(isa, || f(isa));
    }
}

/// Numbers between -1 and 1 in no particular order, the same for the same seed.
pub fn noise(seed: u64, len: usize) -> Vec<f64> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 11) as f64 / (1u64 << 52) as f64 - 1.0
        })
        .collect()
}

/// Panics where `|got - want| > atol + rtol * |want|`; equal infinities and two NaNs agree.
pub fn assert_close(got: &[f64], want: &[f64], rtol: f64, atol: f64, what: &str) {
    assert_eq!(got.len(), want.len(), "{what}: length");
    for (i, (&g, &w)) in got.iter().zip(want).enumerate() {
        let same = g == w || (g.is_nan() && w.is_nan()) || (g - w).abs() <= atol + rtol * w.abs();
        assert!(same, "{what}: element {i} is {g}, reference {w}");
    }
}
