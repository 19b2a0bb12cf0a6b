//! Texts to word ids: cleaning, splitting, counting, encoding. `ts/text/` is the other end.
mod clean;
mod html;
mod split;
mod vocabulary;

pub use clean::{Clean, Form};
pub use split::Split;
pub use vocabulary::{Counts, OOV, PAD, Side, Vocabulary, ordered};
