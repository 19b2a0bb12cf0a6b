//! The numbers that decide how products are cut, each with the measurement behind it.
//! Those that order additions (`split`, `KC`) are constants or come from shapes, and are the same on every vector path.

/// Steps of K in one pass over C. A panel of 32 columns then takes 256 KiB, which streams from L2.
/// (Passes go on from C's stored float32, so this does not change results.)
pub(crate) const KC: usize = 2048;

/// B is read in place where at most this many tiles of rows share it: packing measured 0.3 cycles an element (32x512x128, transposed,
/// Zen4), a pass of one tile of 12 rows computes for 0.75.
pub(crate) const DIRECT_TILES: usize = 4;

/// And where it has at most this many elements: half of an L2 of 1 MiB.
pub(crate) const DIRECT_ELEMENTS: usize = 1 << 17;

/// Up to so many tiles of rows a task packs a panel of B for itself and multiplies it at once, out of its own cache and without waiting for the other
/// panels (64x784x256, transposed, two threads of Zen 5: 84 to 66 microseconds); from so many panels on, which make the tasks.
pub(crate) const FEW_TILES: usize = 8;

/// Multiplications worth a task: 4.4 microseconds at the peak of one Zen4 core (118 GFLOP/s), where a fork costs 0.2.
pub(crate) const TASK_MACS: usize = 1 << 18;

/// Tasks that a large product is cut into: four for each of sixteen nominal threads.
pub(crate) const TASKS: usize = 64;

/// Parts that K is cut into, their sums added in order: only for products with fewer than 32 tiles (two for each of sixteen nominal
/// threads) and a long K.
pub(crate) fn split(m: usize, n: usize, k: usize) -> usize {
    let tiles = (m.div_ceil(12) * n.div_ceil(32)).max(1);
    if tiles >= 32 { 1 } else { (32 / tiles).min(k / 1024).clamp(1, 16) }
}
