//! Rows of operands as products read them: where they lie, or with their factors and in the products' own dtype.
use super::Masked;
use super::math::Real;
use super::products::Products;
use super::stored::Stored;
use crate::copy::convert_run;
use ferrograd_tensor::Element;

/// A row of an operand as products read it: where it lies, if that will do, or in `room`. `wide` is room for the factors' products.
///
/// # Safety
/// `len` elements can be read of the row and the factors, and written to the rooms.
pub(super) unsafe fn operand<P: Products>(
    row: *const P::Acc,
    factor: Option<*const P::Acc>,
    wide: *mut P::Acc,
    room: *mut P::Row,
    len: usize,
) -> *const P::Row {
    let same = P::Row::DTYPE == P::Acc::DTYPE;
    if same && factor.is_none() {
        return row.cast();
    }
    let to = if same { room.cast() } else { wide };
    let from = if factor.is_some() {
        P::Acc::each(Masked { a: row, b: factor, more: None, to, len });
        to.cast_const()
    } else {
        row
    };
    if !same {
        // SAFETY: by the caller's promise.
        unsafe { convert_run(from, room, len) };
    }
    room
}

/// As [`operand`], of a row that is stored.
///
/// # Safety
/// As for [`operand`].
pub(super) unsafe fn stored_operand<P: Products>(
    from: &Stored<P::Acc>,
    at: usize,
    factor: Option<*const P::Acc>,
    wide: *mut P::Acc,
    room: *mut P::Row,
    len: usize,
) -> *const P::Row {
    if let (Some(row), None) = (from.direct::<P::Row>(at), factor) {
        return row;
    }
    let to = if P::Row::DTYPE == P::Acc::DTYPE { room.cast() } else { wide };
    // SAFETY: by the caller's promise.
    unsafe { operand::<P>(from.here(at, len, to), factor, wide, room, len) }
}

/// y += x, over `len` elements.
pub(super) fn add_to<A: Real>(x: *const A, y: *mut A, len: usize) {
    A::each(Masked { a: x, b: None, more: Some(y.cast_const()), to: y, len });
}
