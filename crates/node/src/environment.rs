//! What one JavaScript environment (the main thread or a worker) owns: its session, handles, programs and shared buffers.
use crate::completion::Completions;
use crate::handles::Handles;
use crate::linger::Linger;
use ferrograd_runtime::{Captured, Event, Session, Tensor};
use ferrograd_tensor::{Error, MAX_RANK, Result};
use napi::sys;
use std::cell::Cell;
use std::collections::HashMap;
use std::ffi::c_void;
use std::rc::Rc;
use std::sync::Arc;

/// A typed array that both sides write. JavaScript keeps it alive as long as the environment.
#[derive(Clone, Copy)]
pub struct SharedArray<T> {
    ptr: *mut T,
    len: usize,
}

impl<T: Copy> SharedArray<T> {
    /// # Safety
    /// The memory must stay valid for the environment's life, and be touched only on its thread.
    pub unsafe fn new(ptr: *mut T, len: usize) -> Self {
        SharedArray { ptr, len }
    }
    #[inline]
    pub fn get(&self, index: usize) -> Result<T> {
        if index >= self.len {
            return Err(Error::internal("the command is longer than the command buffer"));
        }
        // SAFETY: inside the array, which is alive by the constructor's promise.
        Ok(unsafe { *self.ptr.add(index) })
    }
    /// The whole array, while JavaScript does not run.
    #[inline]
    pub fn words(&self) -> &[T] {
        // SAFETY: alive by the constructor's promise; Rust writes it only through `set` and `set_all`, which nobody calls meanwhile.
        unsafe { std::slice::from_raw_parts(self.ptr, self.len) }
    }
    #[inline]
    pub fn set(&self, index: usize, value: T) -> Result<()> {
        self.set_all(index, &[value])
    }
    /// Writes several elements, one after the other.
    #[inline]
    pub fn set_all(&self, index: usize, values: &[T]) -> Result<()> {
        if index + values.len() > self.len {
            return Err(Error::internal("the answer is longer than the command buffer"));
        }
        // SAFETY: inside the array, which is alive by the constructor's promise and apart from Rust's memory.
        unsafe { std::ptr::copy_nonoverlapping(values.as_ptr(), self.ptr.add(index), values.len()) };
        Ok(())
    }
}

/// The last error of a call, waiting for JavaScript to make an exception of it.
pub struct CallError {
    pub op: &'static str,
    pub error: Error,
}

pub struct Environment {
    /// How often JavaScript has called.
    pub calls: usize,
    pub session: Session,
    pub handles: Handles,
    pub commands: SharedArray<i32>,
    pub floats: SharedArray<f64>,
    pub frees: SharedArray<i32>,
    pub completions: Completions,
    pub linger: Linger,
    pub error: Option<CallError>,
    pub programs: HashMap<u32, Rc<Captured>>,
    pub gates: HashMap<u32, Arc<Event>>,
    pub next_id: u32,
}

thread_local! {
    /// This thread's environment, from `install` to `close`; null while it is in use. A plain pointer, for every op call looks here.
    static CURRENT: Cell<*mut Environment> = const { Cell::new(std::ptr::null_mut()) };
}

/// Puts the environment back, also when the user of it panics.
struct Borrowed(*mut Environment);

impl Drop for Borrowed {
    fn drop(&mut self) {
        CURRENT.set(self.0);
    }
}

/// Runs `f` with this thread's environment; `None` before `init`, after the end, and inside another `with`.
#[inline]
pub fn with<R>(f: impl FnOnce(&mut Environment) -> R) -> Option<R> {
    let environment = CURRENT.replace(std::ptr::null_mut());
    if environment.is_null() {
        return None;
    }
    let borrowed = Borrowed(environment);
    // SAFETY: the pointer came from a box that `close` alone takes back; while it is out of `CURRENT`, nobody else can reach it.
    let environment = unsafe { &mut *borrowed.0 };
    environment.calls += 1;
    Some(f(environment))
}

/// As [`with`], with an error for napi where there is no environment.
pub fn expect<R>(f: impl FnOnce(&mut Environment) -> R) -> napi::Result<R> {
    with(f).ok_or_else(|| napi::Error::from_reason("ferrograd is not initialised in this thread"))
}

impl Environment {
    /// # Safety
    /// `env` is the current environment; the arrays are as `SharedArray::new` asks.
    pub unsafe fn install(
        env: sys::napi_env,
        commands: SharedArray<i32>,
        floats: SharedArray<f64>,
        frees: SharedArray<i32>,
        completions: Completions,
    ) {
        let environment = Environment {
            session: Session::new(),
            calls: 0,
            handles: Handles::new(),
            commands,
            floats,
            frees,
            completions,
            linger: Linger::new(),
            error: None,
            programs: HashMap::new(),
            gates: HashMap::new(),
            next_id: 0,
        };
        CURRENT.set(Box::into_raw(Box::new(environment)));
        // SAFETY: the hook takes no data and runs on this thread before the environment's memory goes.
        unsafe { sys::napi_add_env_cleanup_hook(env, Some(close), std::ptr::null_mut()) };
    }

    pub fn delivered(&mut self, count: u32) {
        self.completions.delivered(count);
        self.linger.turned();
    }
    pub fn fresh_id(&mut self) -> u32 {
        self.next_id = self.next_id.wrapping_add(1);
        self.next_id
    }
    /// Lets go of the handles that JavaScript has listed.
    pub fn drain_frees(&mut self) -> Result<()> {
        let count = self.frees.get(0)?;
        if count == 0 {
            return Ok(());
        }
        for i in 0..count as usize {
            if let Some(tensor) = self.handles.remove(self.frees.get(1 + 2 * i)?, self.frees.get(2 + 2 * i)?) {
                self.session.let_go(tensor);
            }
        }
        self.frees.set(0, 0)
    }
    /// Handles listed in the command buffer from `at`: a count, then slot and generation of each.
    pub fn listed(&self, at: usize) -> Result<Vec<Rc<Tensor>>> {
        let count = self.commands.get(at)? as usize;
        (0..count).map(|i| self.handles.get(self.commands.get(at + 1 + 2 * i)?, self.commands.get(at + 2 + 2 * i)?).cloned()).collect()
    }
    /// Answers with tensors: their count, then slot, generation, dtype, device, rank and sizes of each.
    pub fn answer(&mut self, tensors: impl ExactSizeIterator<Item = Rc<Tensor>>) -> Result<()> {
        self.commands.set(0, tensors.len() as i32)?;
        let mut at = 1;
        for tensor in tensors {
            at += self.write(tensor, at)?;
        }
        Ok(())
    }
    /// Answers with one tensor.
    pub fn answer_one(&mut self, tensor: Rc<Tensor>) -> Result<()> {
        self.commands.set(0, 1)?;
        self.write(tensor, 1).map(drop)
    }
    /// Gives how many numbers it wrote.
    fn write(&mut self, tensor: Rc<Tensor>, at: usize) -> Result<usize> {
        let dims = tensor.meta.dims();
        let rank = dims.len();
        let mut words = [0; 5 + MAX_RANK];
        words[2..5].copy_from_slice(&[tensor.meta.dtype as i32, tensor.device as i32, rank as i32]);
        for (word, &d) in words[5..].iter_mut().zip(dims) {
            *word = d as i32;
        }
        (words[0], words[1]) = self.handles.insert(tensor);
        self.commands.set_all(at, &words[..5 + rank])?;
        Ok(5 + rank)
    }
    /// Answers with the number of a completion to come, 0 for what is over, and whether unread failures wait for `unseenFailures`.
    pub fn announce(&mut self, id: u32) -> Result<()> {
        if id != 0 {
            self.completions.expect();
        }
        self.commands.set(0, 1)?;
        self.commands.set(1, id as i32)?;
        self.commands.set(2, ferrograd_runtime::has_unseen() as i32)
    }
    /// Notes an error for `takeError`; the answer's count is -1.
    pub fn refuse(&mut self, op: &'static str, error: Error) {
        self.error = Some(CallError { op, error });
        let _ = self.commands.set(0, -1);
    }
}

/// The environment ends: what has not begun is dropped, what writes into JavaScript's memory is waited for.
unsafe extern "C" fn close(_: *mut c_void) {
    let environment = CURRENT.replace(std::ptr::null_mut());
    if !environment.is_null() {
        // SAFETY: the pointer came from `install`, and is taken out once.
        let mut environment = unsafe { Box::from_raw(environment) };
        environment.completions.close();
        environment.gates.drain().for_each(|(_, gate)| {
            if environment.session.is_started() {
                environment.session.runtime().set(&gate);
            }
        });
        environment.session.close();
    }
}
