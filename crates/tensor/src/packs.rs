/// What tells one packed copy of an operand from another: its order, by name, and the sizes and strides that it depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackKey {
    pub order: &'static str,
    pub sizes: [isize; 6],
}

/// Packed copies of operands, kept with their memory until somebody writes it. Implemented by the runtime; only the thread that runs commands asks.
pub trait Packs {
    /// The room of the copy of the operand whose first element lies at `source`, and whether it is filled. `None` where nothing is to be kept:
    /// a copy that is asked for but once between two writes would cost memory and save nothing.
    fn room(&self, source: *const u8, key: &PackKey, bytes: usize) -> Option<(*mut u8, bool)>;
    /// The copy is filled.
    fn filled(&self, source: *const u8, key: &PackKey);
}

/// Keeps nothing.
pub struct NoPacks;

impl Packs for NoPacks {
    fn room(&self, _: *const u8, _: &PackKey, _: usize) -> Option<(*mut u8, bool)> {
        None
    }
    fn filled(&self, _: *const u8, _: &PackKey) {}
}
