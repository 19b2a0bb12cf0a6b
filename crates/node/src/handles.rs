//! Handles: JavaScript holds a tensor as slot and generation, two integers. A stale or foreign pair is refused.
use ferrograd_runtime::Tensor;
use ferrograd_tensor::{Error, ErrorKind, Result};
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};

struct Slot {
    generation: i32,
    tensor: Option<Rc<Tensor>>,
}

pub struct Handles {
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// First generation of this table's slots: tables of different environments start far apart, so that a handle carried to another worker
    /// does not fit there.
    base: i32,
}

static TABLES: AtomicU32 = AtomicU32::new(1);
const GENERATIONS_A_TABLE: u32 = 1 << 22;

impl Handles {
    pub fn new() -> Handles {
        let table = TABLES.fetch_add(1, Ordering::Relaxed);
        let base = (table.wrapping_mul(GENERATIONS_A_TABLE) & 0x7fff_ffff) as i32;
        Handles { slots: Vec::new(), free: Vec::new(), base }
    }

    pub fn insert(&mut self, tensor: Rc<Tensor>) -> (i32, i32) {
        match self.free.pop() {
            Some(index) => {
                let slot = &mut self.slots[index as usize];
                slot.tensor = Some(tensor);
                (index as i32, slot.generation)
            }
            None => {
                self.slots.push(Slot { generation: self.base, tensor: Some(tensor) });
                (self.slots.len() as i32 - 1, self.base)
            }
        }
    }

    pub fn get(&self, slot: i32, generation: i32) -> Result<&Rc<Tensor>> {
        match usize::try_from(slot).ok().and_then(|i| self.slots.get(i)) {
            Some(Slot { generation: g, tensor: Some(tensor) }) if *g == generation => Ok(tensor),
            _ => Err(Error::new(
                ErrorKind::Disposed,
                "a tensor was used after it was disposed of (its scope has closed), or comes from another worker. \
                 Keep it with keep(t), return it from the scope, or pass it between workers with share().",
            )),
        }
    }

    /// Lets a handle go and gives its tensor; a stale one is ignored.
    pub fn remove(&mut self, slot: i32, generation: i32) -> Option<Rc<Tensor>> {
        let entry = self.slots.get_mut(usize::try_from(slot).ok()?).filter(|entry| entry.generation == generation)?;
        let tensor = entry.tensor.take()?;
        entry.generation = entry.generation.wrapping_add(1);
        self.free.push(slot as u32);
        Some(tensor)
    }

    pub fn live(&self) -> usize {
        self.slots.len() - self.free.len()
    }
    /// Bytes of the handles' storages; views count their whole storage.
    pub fn bytes(&self) -> usize {
        self.slots.iter().filter_map(|slot| slot.tensor.as_ref()).map(|tensor| tensor.storage().bytes()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrograd_runtime::{Device, Session};
    use ferrograd_tensor::{DType, Shape};

    #[test]
    fn stale_and_foreign_handles_are_refused() {
        let mut session = Session::new();
        let mut tensor = || session.planned(DType::F32, &Shape::new(&[2]).unwrap(), Device::Meta);
        let (mut here, mut there) = (Handles::new(), Handles::new());
        let (slot, generation) = here.insert(tensor());
        let (other_slot, other_generation) = there.insert(tensor());
        assert!(here.get(slot, generation).is_ok());
        assert!(here.get(other_slot, other_generation).is_err());
        here.remove(slot, generation);
        assert!(here.get(slot, generation).is_err());
        let (again, next) = here.insert(tensor());
        assert_eq!(again, slot);
        assert_ne!(next, generation);
        here.remove(slot, generation);
        assert!(here.get(again, next).is_ok());
    }
}
