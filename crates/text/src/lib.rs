//! Texts to word ids: cleaning, splitting, counting, encoding. `ts/text/` is the other end.
mod clean;
mod counts;
mod html;
mod reader;
mod split;
mod vocabulary;
mod words;

pub use clean::{Clean, Form};
pub use counts::Counts;
pub use reader::Reader;
pub use split::Split;
pub use vocabulary::{Cut, OOV, PAD, Side, Vocabulary, write_rows};
