//! The six small transforms, each along rows and then along columns of a tile. Of F(2, 3) with the points 0, 1, -1 and infinity:
//!
//! ```text
//! B' = 1  0 -1  0      G =  1    0    0      A' = 1  1  1  0
//!      0  1  1  0          1/2  1/2  1/2          0  1 -1 -1
//!      0 -1  1  0          1/2 -1/2  1/2
//!      0  1  0 -1           0    0    1
//! ```
use ferrograd_simd::{Simd, inlined};

/// B' d B: 4 x 4 inputs.
#[inline(always)]
pub fn input<S: Simd>(s: S, d: [S::F; 16]) -> [S::F; 16] {
    let line = |a, b, c, d| [s.sub(a, c), s.add(b, c), s.sub(c, b), s.sub(b, d)];
    both(d, line)
}

/// Applies `line` to the columns and then to the rows of a 4 x 4 tile.
#[inline(always)]
fn both<F: Copy>(mut d: [F; 16], line: impl Fn(F, F, F, F) -> [F; 4]) -> [F; 16] {
    for j in 0..4 {
        let column = line(d[j], d[4 + j], d[8 + j], d[12 + j]);
        for i in 0..4 {
            d[4 * i + j] = column[i];
        }
    }
    for i in 0..4 {
        let row = line(d[4 * i], d[4 * i + 1], d[4 * i + 2], d[4 * i + 3]);
        d[4 * i..4 * i + 4].copy_from_slice(&row);
    }
    d
}

/// A' m A: 2 x 2 outputs.
#[inline(always)]
pub fn output<S: Simd>(s: S, m: [S::F; 16]) -> [S::F; 4] {
    let line = |a, b, c, d| [s.add(s.add(a, b), c), s.sub(s.sub(b, c), d)];
    let mut half = [[s.zero(); 4]; 2];
    for j in 0..4 {
        let [y, z] = line(m[j], m[4 + j], m[8 + j], m[12 + j]);
        (half[0][j], half[1][j]) = (y, z);
    }
    let [a, b] = inlined(|i| line(half[i][0], half[i][1], half[i][2], half[i][3]));
    [a[0], a[1], b[0], b[1]]
}

/// A y A': the transpose of [`output`].
#[inline(always)]
pub fn spread<S: Simd>(s: S, y: [S::F; 4]) -> [S::F; 16] {
    let line = |a, b| [a, s.add(a, b), s.sub(a, b), s.neg(b)];
    let (left, right) = (line(y[0], y[2]), line(y[1], y[3]));
    let mut m = [s.zero(); 16];
    for i in 0..4 {
        m[4 * i..4 * i + 4].copy_from_slice(&line(left[i], right[i]));
    }
    m
}

/// A value and what rounding has taken from it.
type Exact<F> = (F, F);

/// Knuth's two-sum.
#[inline(always)]
fn add<S: Simd>(s: S, a: Exact<S::F>, b: Exact<S::F>) -> Exact<S::F> {
    let sum = s.add(a.0, b.0);
    let part = s.sub(sum, a.0);
    let error = s.add(s.sub(a.0, s.sub(sum, part)), s.sub(b.0, part));
    (sum, s.add(error, s.add(a.1, b.1)))
}

#[inline(always)]
fn weight_line<S: Simd>(s: S, a: Exact<S::F>, b: Exact<S::F>, c: Exact<S::F>) -> [Exact<S::F>; 4] {
    let (half, sum) = (s.splat(0.5), add(s, a, c));
    let (more, less) = (add(s, sum, b), add(s, sum, (s.sub(s.zero(), b.0), s.sub(s.zero(), b.1))));
    [a, (s.mul(half, more.0), s.mul(half, more.1)), (s.mul(half, less.0), s.mul(half, less.1)), c]
}

/// G g G': 3 x 3 weights, rounded once: their errors go into every product.
#[inline(always)]
pub fn weight<S: Simd>(s: S, g: [S::F; 9]) -> [S::F; 16] {
    let mut columns = [[(s.zero(), s.zero()); 4]; 3];
    for j in 0..3 {
        columns[j] = weight_line(s, (g[j], s.zero()), (g[3 + j], s.zero()), (g[6 + j], s.zero()));
    }
    let mut u = [s.zero(); 16];
    for i in 0..4 {
        let row = weight_line(s, columns[0][i], columns[1][i], columns[2][i]);
        for j in 0..4 {
            u[i * 4 + j] = s.add(row[j].0, row[j].1);
        }
    }
    u
}

/// G' m G: the transpose of [`weight`].
#[inline(always)]
pub fn weight_back<S: Simd>(s: S, m: [S::F; 16]) -> [S::F; 9] {
    let half = s.splat(0.5);
    let line = |a, b, c, d| [s.fma(half, s.add(b, c), a), s.mul(half, s.sub(b, c)), s.fma(half, s.add(b, c), d)];
    let columns: [[S::F; 3]; 4] = inlined(|j| line(m[j], m[4 + j], m[8 + j], m[12 + j]));
    let rows: [[S::F; 3]; 3] = inlined(|i| line(columns[0][i], columns[1][i], columns[2][i], columns[3][i]));
    inlined(|k| rows[k / 3][k % 3])
}
