//! Rules of random numbers. A generator is an int64 tensor [seed, counter]; a key, handed out by it, is one too.
use super::{like, need_float, new, show};
use crate::{DType, Error, Meta, Result};

fn need_pair(name: &str, x: &Meta) -> Result {
    if x.dtype == DType::I64 && x.dims() == [2] {
        return Ok(());
    }
    Err(Error::value(format!("{name} must be int64 [2]: seed and counter.\n  {}\n  Take it from a Generator.", show(name, x))))
}

/// The key that a generator's `state` hands out.
pub fn rng_key(state: &Meta) -> Result<Meta> {
    need_pair("state", state)?;
    Ok(like(state))
}

/// Floating random numbers of shape `dims` and the dtype of code `dtype`.
pub fn random(key: &Meta, dims: &[i64], dtype: i64) -> Result<Meta> {
    need_pair("key", key)?;
    let y = new(dims, dtype)?;
    need_float("the result", &y)?;
    Ok(y)
}

/// Random integers, of any dtype but bool.
pub fn random_integer(key: &Meta, dims: &[i64], dtype: i64) -> Result<Meta> {
    need_pair("key", key)?;
    let y = new(dims, dtype)?;
    if y.dtype == DType::Bool {
        return Err(Error::dtype("random integers cannot be bool.\n  Draw int32 from 0 to 1 and compare."));
    }
    Ok(y)
}

/// Dropout of a floating `x` with odds `p` in [0, 1].
pub fn dropout(x: &Meta, key: &Meta, p: f64) -> Result<Meta> {
    need_float("x", x)?;
    need_pair("key", key)?;
    if !(0.0..=1.0).contains(&p) {
        return Err(Error::value(format!("p must lie between 0 and 1.\n  p {p}\n  p is the share of elements that become 0.")));
    }
    Ok(like(x))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_dtypes_and_odds_are_checked() {
        let key = Meta::new(DType::I64, &[2]).unwrap();
        let x = Meta::new(DType::F32, &[3]).unwrap();
        assert!(rng_key(&key).is_ok() && rng_key(&x).is_err());
        assert!(random(&key, &[2, 2], DType::F16 as i64).is_ok() && random(&key, &[2], DType::I32 as i64).is_err());
        assert!(random_integer(&key, &[2], DType::U8 as i64).is_ok() && random_integer(&key, &[2], DType::Bool as i64).is_err());
        assert!(dropout(&x, &key, 1.0).is_ok() && dropout(&x, &key, 1.5).is_err() && dropout(&x, &key, f64::NAN).is_err());
        assert!(dropout(&key, &key, 0.5).is_err() && dropout(&x, &x, 0.5).is_err());
    }
}
