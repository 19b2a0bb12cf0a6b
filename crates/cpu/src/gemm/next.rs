//! What a caller reads once a product is done, asked for while its tiles compute: memory and arithmetic then work at the same time. No result depends
//! on it.
use super::micro::Ahead;
use ferrograd_tensor::SyncPtr;

/// Elements of a cache line.
const LINE: usize = 16;

/// Up to two blocks of rows, the first elements of each row.
#[derive(Clone, Copy)]
pub(crate) struct Next {
    blocks: [Block; 2],
}

/// In float32, whatever the dtype is.
#[derive(Clone, Copy)]
struct Block {
    start: SyncPtr<f32>,
    rows: usize,
    width: usize,
    /// How much of a row is read.
    len: usize,
}

const NO_ROWS: Block = Block { start: SyncPtr(std::ptr::null_mut()), rows: 0, width: 0, len: 0 };

impl Next {
    pub const NOTHING: Next = Next { blocks: [NO_ROWS; 2] };

    /// The first `len` elements of rows of `width`.
    pub fn of<T>(blocks: [&[T]; 2], width: usize, len: usize) -> Next {
        let words = |elements: usize| elements * size_of::<T>() / size_of::<f32>();
        Next {
            blocks: blocks.map(|block| Block {
                start: SyncPtr(block.as_ptr().cast_mut().cast()),
                rows: block.len() / width.max(1),
                width: words(width),
                len: words(len),
            }),
        }
    }

    pub fn is_nothing(&self) -> bool {
        self.blocks.iter().all(|block| block.rows == 0)
    }

    /// What tile `i` of `count`, of `steps` steps, asks for.
    pub(super) fn share(&self, i: usize, count: usize, steps: usize) -> Ahead {
        let pieces = self.blocks.map(|block| block.pieces(steps));
        let all = pieces[0] + pieces[1];
        if all == 0 {
            return Ahead::NONE;
        }
        let piece = i * all / count;
        if piece < pieces[0] { self.blocks[0].piece(piece, steps) } else { self.blocks[1].piece(piece - pieces[0], steps) }
    }
}

impl Block {
    /// Where most of a row is read, rows are taken as they lie, which the memory's own prefetching follows (a fifth less time for 204 of 216 channels,
    /// Zen 4); else a line of each of some rows at a time (a quarter less for 96).
    fn is_dense(&self) -> bool {
        10 * self.len > 7 * self.width
    }
    /// Lines of a row, which may begin anywhere in its first.
    fn lines(&self) -> usize {
        self.len / LINE + 1
    }
    /// In how many pieces of `steps` lines it is asked for.
    fn pieces(&self, steps: usize) -> usize {
        let steps = steps.max(1);
        if self.is_dense() { (self.rows * self.width).div_ceil(steps * LINE) } else { self.rows.div_ceil(steps) * self.lines() }
    }
    fn piece(&self, i: usize, steps: usize) -> Ahead {
        if self.is_dense() {
            return Ahead { start: self.start.get().wrapping_add(i * steps * LINE), step: LINE };
        }
        let (group, line) = (i / self.lines(), i % self.lines());
        Ahead { start: self.start.get().wrapping_add(group * steps * self.width + line * LINE), step: self.width }
    }
}
