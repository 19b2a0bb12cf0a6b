//! The forward pass and the input gradient, on the tile kernels of an [`Engine`]: y[row, col, o] = sum over taps (t, u) and channels of
//! source[row * step + shift_t, col * step + shift_u, c] * weight[t, u, c, o], with zeros outside of the source.
//!
//! In NHWC the columns of a tap row are neighbours when their shifts are: one tap row is then a single run of columns * channels
//! products, read in place by the tile kernels, a pointer an output pixel (no im2col). Where columns fall outside of the source, the rows
//! that a task needs are first copied into a zero-edged strip; tap rows outside of the source are skipped.
use super::engine::{Engine, Part};
use super::pooled::{Pool, Row};
use crate::gemm::{Ahead, Tap, even_cut};
use ferrograd_simd::prefetch_write;
use ferrograd_tensor::{Cx, SyncPtr};
use std::ops::Range;

/// One correlation over a batch, of one group of channels.
#[derive(Clone, Copy)]
pub(crate) struct Correlation<'a, E: Engine> {
    pub batch: usize,
    /// Source plane: sizes, channels of all groups (the distance of two pixels), and where this group's channels start.
    pub source: *const E::X,
    pub src_h: usize,
    pub src_w: usize,
    pub src_c: usize,
    pub first_c: usize,
    /// Channels of a group.
    pub depth: usize,
    pub step_h: usize,
    pub step_w: usize,
    /// Shifts, ascending.
    pub rows: &'a [i64],
    pub cols: &'a [i64],
    /// Number of shifts, rows times columns.
    pub taps: usize,
    /// Packed: `[panel][row][col][channel][nr]`.
    pub weight: *const E::W,
    /// A row's columns are packed as one run of products, and not each by itself.
    pub joined: bool,
    /// Outputs: grid, channels, and where row, column and image start.
    pub out_h: usize,
    pub out_w: usize,
    pub out_c: usize,
    pub out: SyncPtr<E::X>,
    pub out_image: usize,
    pub out_row: usize,
    pub out_col: usize,
    pub bias: *const E::X,
    pub relu: bool,
    /// Rows of outputs are pooled from a strip; `out` and its distances then say where an unpooled result would lie.
    pub pool: Option<&'a Pool<E::X>>,
}

// SAFETY: pointers are to operands that outlive the call; outputs are shared out by tasks.
unsafe impl<E: Engine> Sync for Correlation<'_, E> {}

/// Multiplications worth a task.
const TASK_MACS: usize = 1 << 19;
/// Tasks that are enough: two for each of sixteen nominal threads.
const TASKS: usize = 32;
/// Packed weights of more elements (512 KiB) do not stay in L2 from tile to tile: then all tiles of a task take one panel after the other.
const SWEPT: usize = 1 << 17;
/// Elements that make whole cache lines, whatever their type.
const LINE: usize = 32;
/// Taps handed to a tile kernel at once.
pub(super) const TAPS: usize = 64;

impl<E: Engine> Correlation<'_, E> {
    /// Output rows of a task.
    fn task_rows(&self) -> usize {
        let row = self.out_w * self.out_c * self.taps * self.depth;
        // Whole windows, where there are any.
        let window = self.pool.map_or(1, |pool| pool.h);
        let windows = (self.out_h / window).max(1);
        let shared = E::PIXELS.div_ceil((window * self.out_w).max(1)).min(self.batch * windows / TASKS);
        let most = (TASK_MACS / (row * window).max(1)).max(shared).clamp(1, windows);
        window * windows.div_ceil(windows.div_ceil(most))
    }
    /// The source columns that outputs touch.
    fn col_span(&self) -> (i64, i64) {
        let last = self.out_w.saturating_sub(1) * self.step_w;
        (self.cols.first().copied().unwrap_or(0), self.cols.last().copied().unwrap_or(0) + last as i64 + 1)
    }
    fn row_span(&self, rows: usize) -> usize {
        let span = self.rows.last().copied().unwrap_or(0) - self.rows.first().copied().unwrap_or(0);
        rows.saturating_sub(1) * self.step_h + span as usize + 1
    }
    /// Tiles cross rows where these are short and outputs evenly spaced: rows of the source must then all exist.
    fn crosses(&self) -> bool {
        self.out_w < E::CROSSED && self.out_row == self.out_w * self.out_col
    }
    fn needs_strip(&self) -> bool {
        let (left, right) = self.col_span();
        let last = self.out_h.saturating_sub(1) * self.step_h;
        let outside = self.rows.first().is_some_and(|&r| r < 0) || self.rows.last().is_some_and(|&r| r + last as i64 >= self.src_h as i64);
        left < 0 || right > self.src_w as i64 || (self.crosses() && outside)
    }
    fn strip_len(&self) -> usize {
        let (left, right) = self.col_span();
        (self.row_span(self.task_rows()) * (right - left) as usize * self.src_c).next_multiple_of(LINE)
    }
    fn tasks(&self) -> usize {
        self.batch * self.out_h.div_ceil(self.task_rows())
    }
    fn source_len(&self) -> usize {
        if self.needs_strip() { self.strip_len() } else { 0 }
    }
    /// Elements of the strip that outputs stay in until they are pooled.
    fn pooled_len(&self) -> usize {
        let strip = self.task_rows() * self.out_w * self.out_c;
        if self.pool.is_some() { strip.next_multiple_of(LINE) } else { 0 }
    }
    /// Elements of room for each thread that [`Correlation::run`] wants.
    pub fn local_len(&self) -> usize {
        self.source_len() + self.pooled_len()
    }

    /// # Safety
    /// All pointers are valid for the sizes and the outputs belong to this call alone.
    pub unsafe fn run(&self, cx: &mut Cx, engine: E) {
        if self.out_h == 0 || self.out_w == 0 || self.out_c == 0 || self.batch == 0 {
            return;
        }
        let (block, source_len) = (self.task_rows(), self.source_len());
        let blocks = self.out_h.div_ceil(block);
        cx.par_local::<E::X>(self.tasks(), self.local_len(), |task, local| {
            let (image, y) = (task / blocks, task % blocks * block);
            let rows = y..self.out_h.min(y + block);
            let (source, results) = local.split_at_mut(source_len);
            // SAFETY: each task has its own output rows; the image is inside the source.
            unsafe {
                let (plane, pitch) = if source.is_empty() {
                    (self.source.add(image * self.src_h * self.src_w * self.src_c), (self.src_w * self.src_c) as isize)
                } else {
                    self.strip_of(image, &rows, source.as_mut_ptr())
                };
                match self.pool {
                    None => self.outputs(engine, image, rows, plane, pitch),
                    Some(pool) => self.pooled(engine, image, rows, plane, pitch, results.as_mut_ptr(), pool),
                }
            }
        });
    }

    /// Copies the source rows that output rows `rows` need; gives where source row 0, column 0 would lie, and the distance of rows.
    unsafe fn strip_of(&self, image: usize, rows: &Range<usize>, strip: *mut E::X) -> (*const E::X, isize) {
        let (left, right) = self.col_span();
        let pitch = (right - left) as usize * self.src_c;
        let top = (rows.start * self.step_h) as i64 + self.rows.first().copied().unwrap_or(0);
        // SAFETY: the strip is long enough for the rows of a task.
        unsafe { self.fill(image, top, self.row_span(rows.len()), left, right, strip) };
        let origin = strip.wrapping_offset(-(top as isize * pitch as isize + left as isize * self.src_c as isize));
        (origin, pitch as isize)
    }

    /// As `outputs`, into `strip`, and pooled from there.
    unsafe fn pooled(
        &self,
        engine: E,
        image: usize,
        rows: Range<usize>,
        plane: *const E::X,
        pitch: isize,
        strip: *mut E::X,
        pool: &Pool<E::X>,
    ) {
        let (pixel, row) = (self.out_c, self.out_w * self.out_c);
        let out = SyncPtr(strip.wrapping_sub(rows.start * row));
        let own = Correlation { out, out_image: 0, out_row: row, out_col: pixel, ..*self };
        // SAFETY: the strip holds the rows.
        unsafe { own.outputs(engine, image, rows.clone(), plane, pitch) };
        // The group's first channel, and the channels of all groups.
        let (first, channels) = ((self.out.get() as usize - pool.y.get() as usize) / size_of::<E::X>(), self.out_col);
        let (height, cols) = (self.out_h / pool.h, self.out_w / pool.w);
        for r in (0..rows.len()).step_by(pool.h) {
            let at = (image * height + (rows.start + r) / pool.h) * cols * channels + first;
            // SAFETY: inside the strip and the results, which are this task's.
            unsafe { E::maxima(Row { pool, source: strip.add(r * row), row, pixel, cols, channels: pixel, at, to: channels }) };
        }
    }

    /// Copies source rows `top ..` and columns `left .. right` of an image, zeros where there are none.
    unsafe fn fill(&self, image: usize, top: i64, rows: usize, left: i64, right: i64, strip: *mut E::X) {
        let c = self.src_c;
        let pitch = (right - left) as usize * c;
        let (from, to) = (left.clamp(0, self.src_w as i64), right.clamp(0, self.src_w as i64));
        for r in 0..rows {
            // SAFETY: inside the strip and the image.
            unsafe {
                let dst = strip.add(r * pitch);
                let y = top + r as i64;
                if y < 0 || y >= self.src_h as i64 || from >= to {
                    std::ptr::write_bytes(dst, 0, pitch);
                    continue;
                }
                let (lead, body) = ((from - left) as usize * c, (to - from) as usize * c);
                let src = self.source.add(((image * self.src_h + y as usize) * self.src_w + from as usize) * c);
                std::ptr::write_bytes(dst, 0, lead);
                std::ptr::copy_nonoverlapping(src, dst.add(lead), body);
                std::ptr::write_bytes(dst.add(lead + body), 0, pitch - lead - body);
            }
        }
    }

    /// Output rows `rows` of an image; `plane` is source row 0, column 0, and `pitch` the distance of source rows.
    unsafe fn outputs(&self, engine: E, image: usize, rows: Range<usize>, plane: *const E::X, pitch: isize) {
        let large = self.out_c.next_multiple_of(engine.nr()) * E::steps(self.taps * self.depth) > SWEPT;
        let sweep = if E::PIXELS > 1 && large { engine.nr() } else { self.out_c };
        for first in (0..self.out_c).step_by(sweep) {
            let channels = first..self.out_c.min(first + sweep);
            // SAFETY: the caller's promises.
            unsafe { self.channels(engine, image, rows.clone(), channels, plane, pitch) };
        }
    }

    /// As `outputs`, of some channels, whole panels of them.
    unsafe fn channels(&self, engine: E, image: usize, rows: Range<usize>, channels: Range<usize>, plane: *const E::X, pitch: isize) {
        if self.crosses() {
            let (count, taps) = (rows.len() * self.out_w, 0..self.rows.len());
            // SAFETY: the caller's promises. All tap rows exist, in the plane or in a strip.
            unsafe { self.run_of_pixels(engine, image, rows.start, count, channels, taps, plane, pitch) };
        } else {
            for y in rows {
                let at = (y * self.step_h) as i64;
                let first = self.rows.partition_point(|&r| r + at < 0);
                let end = self.rows.partition_point(|&r| r + at < self.src_h as i64);
                // SAFETY: as above; tap rows outside of the source hold zeros and are left out.
                unsafe { self.run_of_pixels(engine, image, y, self.out_w, channels.clone(), first..end.max(first), plane, pitch) };
            }
        }
    }

    /// Some channels of `count` pixels from the start of row `y`, over some of the tap rows.
    unsafe fn run_of_pixels(
        &self,
        engine: E,
        image: usize,
        y: usize,
        count: usize,
        channels: Range<usize>,
        taps: Range<usize>,
        plane: *const E::X,
        pitch: isize,
    ) {
        let nr = engine.nr();
        let pixel = self.src_c as isize;
        // Neighbouring columns of all channels make one run.
        let fused = self.joined && self.depth == self.src_c && self.cols.windows(2).all(|p| p[1] == p[0] + 1);
        let (runs, k) = if fused { (self.cols.len().min(1), self.cols.len() * self.depth) } else { (self.cols.len(), self.depth) };
        // Packed steps of a run, and of all runs of a row.
        let steps = E::steps(k);
        let row_steps = if self.joined { E::steps(self.cols.len() * self.depth) } else { self.cols.len() * steps };
        let panel_len = self.rows.len() * row_steps * nr;
        let total = taps.len() * runs;
        let n_tiles = count.div_ceil(engine.mr());
        let mut tap_list: [Tap; TAPS] = [(0, 0); TAPS];
        let list = |from: usize, some: usize, tap_list: &mut [Tap; TAPS]| {
            for (i, tap) in tap_list[..some].iter_mut().enumerate() {
                let (row, run) = (taps.start + (from + i) / runs, (from + i) % runs);
                let a = self.rows[row] as isize * pitch + self.cols[run] as isize * pixel;
                *tap = (a, ((row * row_steps + run * steps) * nr) as isize);
            }
        };
        if total <= TAPS {
            list(0, total, &mut tap_list);
        }
        for t in 0..n_tiles {
            let (first, len) = even_cut(count, n_tiles, t);
            let mut pointers = [plane; 16];
            let (mut dy, mut x) = (first / self.out_w, first % self.out_w);
            let (at_y, at_x) = (y + dy, x);
            for p in &mut pointers[..len] {
                let row = ((y + dy) * self.step_h) as isize;
                *p = plane.wrapping_offset(row * pitch + (x * self.step_w) as isize * pixel + self.first_c as isize);
                x += 1;
                if x == self.out_w {
                    (x, dy) = (0, dy + 1);
                }
            }
            let out = self.out.get().wrapping_add(image * self.out_image + at_y * self.out_row + at_x * self.out_col);
            for i in 0..len {
                prefetch_write(
                    out.wrapping_add(i * self.out_col + channels.start).cast(),
                    channels.len() * size_of::<E::X>() / size_of::<f32>(),
                );
            }
            // The next tile's pixels of the last tap row, which nobody has read before.
            let (mut next, mut next_len) = (std::ptr::null(), 0);
            if t + 1 < n_tiles && total > 0 {
                let (from, pixels) = even_cut(count, n_tiles, t + 1);
                let (y, x) = (((y + from / self.out_w) * self.step_h) as isize, (from % self.out_w * self.step_w) as isize);
                let row = self.rows[taps.end - 1] as isize + y;
                next = plane.wrapping_offset(row * pitch + (x + self.cols[0] as isize) * pixel + self.first_c as isize).cast::<f32>();
                next_len = ((pixels - 1) * self.step_w * self.src_c + self.cols.len() * self.depth) * size_of::<E::X>() / size_of::<f32>();
            }
            let panels = channels.len().div_ceil(nr);
            let mut from = 0;
            loop {
                let some = TAPS.min(total - from);
                if total > TAPS {
                    list(from, some, &mut tap_list);
                }
                let last = from + some == total;
                for first_o in channels.clone().step_by(nr) {
                    // Each panel of the first pass asks for its share.
                    let share = next_len / panels;
                    let ahead = if from > 0 || share == 0 {
                        Ahead::NONE
                    } else {
                        Ahead::over(next.wrapping_add((first_o - channels.start) / nr * share), share, some * steps)
                    };
                    // SAFETY: output tile and panel lie inside their memory; pointers plus taps inside plane or strip.
                    unsafe {
                        let part = Part {
                            taps: &tap_list[..some],
                            k,
                            b: self.weight.add(first_o / nr * panel_len),
                            c: out.add(first_o),
                            ldc: self.out_col,
                            n: nr.min(channels.end - first_o),
                            add: from > 0,
                            bias: if last && !self.bias.is_null() { self.bias.add(first_o) } else { std::ptr::null() },
                            relu: last && self.relu,
                            ahead,
                        };
                        engine.rows(&pointers[..len], &part);
                    }
                }
                from += some;
                if last {
                    break;
                }
            }
        }
    }
}
