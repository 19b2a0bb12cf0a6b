//! The input gradient with stride 1 where dy is clearly narrower than dx: for each kernel column, the pixels of a dy row times the weights
//! are added to the run of dx that they reach, all kernel rows in one pass. Nothing is multiplied by padding; dx is read and written
//! once a kernel column, which costs little beside a reduction over kernel rows and output channels.
use super::geometry::Geometry;
use crate::gemm::{Ahead, Job, Tap, Tiles, even_cut};
use ferrograd_tensor::{Cx, SyncPtr};

/// Multiplications worth a task.
const TASK_MACS: usize = 1 << 19;
/// Kernel rows in one pass.
const TAPS: usize = 64;

pub(super) struct Spread<'a> {
    pub tiles: &'static Tiles,
    pub g: &'a Geometry,
    pub dy: &'a [f32],
    /// `[group][panel of input channels][kh, last first][kw, last first][output channel][nr]`.
    pub packed: &'a [f32],
    pub dx: SyncPtr<f32>,
}

impl Spread<'_> {
    /// True where more than a twelfth of a correlation over dx would be zeros (13 pixels of 15: 1.15 times faster; 4 of 6: 1.5 times).
    pub fn pays(g: &Geometry) -> bool {
        let reached: usize = (0..g.kw).map(|kw| Geometry::valid(kw, g.dw, g.left, 1, g.w, g.ow).len()).sum();
        g.sh == 1 && g.sw == 1 && reached * 12 < g.kw * g.w * 11
    }

    pub fn run(&self, cx: &Cx) {
        let g = self.g;
        let row = g.ow * g.kw * g.o * g.kh * g.cg();
        let block = (TASK_MACS / row.max(1)).clamp(1, g.h);
        let blocks = g.h.div_ceil(block);
        cx.par(g.n * blocks, |task| {
            let (image, from) = (task / blocks, task % blocks * block);
            for iy in from..g.h.min(from + block) {
                self.row(image, iy);
            }
        });
    }

    /// Row `iy` of an image's dx.
    fn row(&self, image: usize, iy: usize) {
        let (g, nr) = (self.g, self.tiles.nr());
        let (og, cg) = (g.og(), g.cg());
        // SAFETY: this row has one owner.
        let dx = unsafe { std::slice::from_raw_parts_mut(self.dx.get().add((image * g.h + iy) * g.w * g.c), g.w * g.c) };
        dx.fill(0.0);
        // dy row of kernel row kh: iy + top - kh * dh.
        let at = iy + g.top;
        let kh_end = (at / g.dh + 1).min(g.kh);
        let kh_first = (at + 1).saturating_sub(g.oh).div_ceil(g.dh).min(kh_end);
        let mut taps: [Tap; TAPS] = [(0, 0); TAPS];
        for from in (kh_first..kh_end).step_by(TAPS) {
            let some = TAPS.min(kh_end - from);
            for group in 0..g.groups {
                for kw in 0..g.kw {
                    let reach = Geometry::valid(kw, g.dw, g.left, 1, g.w, g.ow);
                    if reach.is_empty() {
                        continue;
                    }
                    for (i, tap) in taps[..some].iter_mut().enumerate() {
                        let kh = from + i;
                        let a = ((image * g.oh + at - kh * g.dh) * g.ow + reach.start) * g.o + group * og;
                        *tap = (a as isize, (((g.kh - 1 - kh) * g.kw + g.kw - 1 - kw) * og * nr) as isize);
                    }
                    let first_x = reach.start + kw * g.dw - g.left;
                    let n_tiles = reach.len().div_ceil(self.tiles.mr());
                    for t in 0..n_tiles {
                        let (pixel, len) = even_cut(reach.len(), n_tiles, t);
                        let mut pointers = [self.dy.as_ptr(); 16];
                        for (i, p) in pointers[..len].iter_mut().enumerate() {
                            *p = p.wrapping_add((pixel + i) * g.o);
                        }
                        for first in (0..cg).step_by(nr) {
                            let panel = (group * cg.div_ceil(nr) + first / nr) * g.kh * g.kw * og * nr;
                            // SAFETY: pixels of dy that exist, the panel, and a run of this row.
                            unsafe {
                                let job = Job {
                                    taps: &taps[..some],
                                    k: og,
                                    b: self.packed.as_ptr().add(panel),
                                    ldb: nr as isize,
                                    c: dx.as_mut_ptr().add((first_x + pixel) * g.c + group * cg + first),
                                    ldc: g.c,
                                    n: nr.min(cg - first),
                                    add: true,
                                    bias: std::ptr::null(),
                                    relu: false,
                                    ahead: Ahead::NONE,
                                };
                                self.tiles.rows(&pointers[..len], &job);
                            }
                        }
                    }
                }
            }
        }
    }
}
