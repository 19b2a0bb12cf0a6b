//! Which pixels a tile reads or writes.
use super::super::geometry::Geometry;

/// The tiles of a convolution's outputs, row by row, image after image.
#[derive(Clone, Copy)]
pub struct Grid {
    pub rows: usize,
    pub cols: usize,
    pub count: usize,
}

/// Image, row and column of a tile in its grid.
#[derive(Clone, Copy)]
pub struct Place {
    pub image: usize,
    pub row: usize,
    pub col: usize,
}

impl Grid {
    pub fn new(g: &Geometry) -> Grid {
        let (rows, cols) = (g.oh.div_ceil(2), g.ow.div_ceil(2));
        Grid { rows, cols, count: g.n * rows * cols }
    }
    /// The places of tiles `first..`, without a division for each.
    pub fn from(self, first: usize) -> impl Iterator<Item = Place> {
        let mut next = Place { image: first / (self.rows * self.cols), row: first / self.cols % self.rows, col: first % self.cols };
        std::iter::repeat_with(move || {
            let place = next;
            next.col += 1;
            if next.col == self.cols {
                (next.col, next.row) = (0, next.row + 1);
            }
            if next.row == self.rows {
                (next.row, next.image) = (0, next.image + 1);
            }
            place
        })
    }
}

/// Images whose pixels tiles share: `SIDE x SIDE` of them each, a tile's first one 2 rows or columns behind its neighbour's.
#[derive(Clone, Copy)]
pub struct Plane<const SIDE: usize> {
    h: usize,
    w: usize,
    channels: usize,
    /// Rows above and columns to the left of the image that the first tiles cover.
    top: usize,
    left: usize,
}

/// A tile's pixels in a plane.
#[derive(Clone, Copy)]
pub struct Pixels<const SIDE: usize> {
    /// Element of the first pixel, which may lie outside.
    first: isize,
    /// Elements from a row to the next, and from a pixel to the next.
    row: usize,
    pixel: usize,
    /// Which rows and columns lie inside.
    rows: [bool; SIDE],
    cols: [bool; SIDE],
    /// True where all of them do.
    pub whole: bool,
}

impl Plane<4> {
    /// The inputs of a convolution.
    pub fn inputs(g: &Geometry) -> Plane<4> {
        Plane { h: g.h, w: g.w, channels: g.c, top: g.top, left: g.left }
    }
}

impl Plane<2> {
    /// The outputs.
    pub fn outputs(g: &Geometry) -> Plane<2> {
        Plane { h: g.oh, w: g.ow, channels: g.o, top: 0, left: 0 }
    }
}

impl<const SIDE: usize> Plane<SIDE> {
    #[inline(always)]
    pub fn pixels(&self, place: Place) -> Pixels<SIDE> {
        let (y, x) = ((2 * place.row) as isize - self.top as isize, (2 * place.col) as isize - self.left as isize);
        let first = (((place.image * self.h) as isize + y) * self.w as isize + x) * self.channels as isize;
        let (mut rows, mut cols) = ([false; SIDE], [false; SIDE]);
        for i in 0..SIDE {
            // What lies before the image wraps to a large number.
            rows[i] = y.wrapping_add_unsigned(i) as usize <= self.h.wrapping_sub(1);
            cols[i] = x.wrapping_add_unsigned(i) as usize <= self.w.wrapping_sub(1);
        }
        let whole = rows[0] && rows[SIDE - 1] && cols[0] && cols[SIDE - 1];
        Pixels { first, row: self.w * self.channels, pixel: self.channels, rows, cols, whole }
    }
}

impl<const SIDE: usize> Pixels<SIDE> {
    /// Element of pixel `k` of the tile, counted row by row.
    #[inline(always)]
    pub fn at(&self, k: usize) -> isize {
        self.first.wrapping_add_unsigned(k / SIDE * self.row + k % SIDE * self.pixel)
    }
    #[inline(always)]
    pub fn inside(&self, k: usize) -> bool {
        self.rows[k / SIDE] && self.cols[k % SIDE]
    }
    /// Element of the pixel in column `col` of those that the tile two columns on will be the first to read.
    #[inline(always)]
    pub fn ahead(&self, row: usize, col: usize) -> isize {
        self.first.wrapping_add_unsigned(row * self.row + (SIDE + 2 + col) * self.pixel)
    }
}
