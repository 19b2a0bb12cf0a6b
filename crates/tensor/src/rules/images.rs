//! Rules of the image ops; images are [N, H, W, C].
use super::{like, show, size};
use crate::{DType, Error, Meta, Result};

fn need_images(x: &Meta) -> Result {
    if x.rank() != 4 {
        return Err(Error::shape(format!(
            "images must have four dimensions, N H W C.\n  {}\n  \
             Add the missing ones with reshape, for example [1, H, W, C] for a single image.",
            show("images", x)
        )));
    }
    if !x.dtype.is_float() && x.dtype != DType::U8 {
        return Err(Error::dtype(format!("images must be uint8 or floating.\n  {}\n  Convert them with .to('uint8').", show("images", x))));
    }
    Ok(())
}

/// `augment`: the images' own shape and dtype.
pub fn images(x: &Meta, key: &Meta) -> Result<Meta> {
    need_images(x)?;
    if key.dtype != DType::I64 || key.dims() != [2] {
        return Err(Error::value(format!(
            "the key must be int64 [2]: seed and counter.\n  {}\n  Take it from a Generator.",
            show("key", key)
        )));
    }
    Ok(like(x))
}

/// `resize`: [N, height, width, C].
pub fn resize(x: &Meta, height: i64, width: i64) -> Result<Meta> {
    need_images(x)?;
    let (h, w) = (size("height", height)?, size("width", width)?);
    let d = x.dims();
    if (d[1] == 0 || d[2] == 0) && h > 0 && w > 0 {
        return Err(Error::shape(format!(
            "an image without pixels cannot be resized.\n  {} (N H W C)\n  Leave out empty images.",
            show("images", x)
        )));
    }
    Meta::new(x.dtype, &[d[0], h, w, d[3]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resize_keeps_images_and_channels() {
        let x = Meta::new(DType::U8, &[5, 8, 9, 3]).unwrap();
        assert_eq!(resize(&x, 32, 16).unwrap().dims(), [5, 32, 16, 3]);
        assert!(resize(&x, -1, 2).is_err());
        assert!(images(&Meta::new(DType::I64, &[5, 8, 9, 3]).unwrap(), &x).is_err());
        assert!(images(&Meta::new(DType::F32, &[8, 9, 3]).unwrap(), &x).unwrap_err().message.contains("N H W C"));
    }
}
