//! Completions: how the driver thread tells JavaScript that something it waits for has happened. One threadsafe function an environment, referenced
//! only while a promise is pending, so that waiting keeps the process alive and having waited does not.
use ferrograd_runtime::Failure;
use napi::sys;
use std::ffi::c_void;
use std::ptr;
use std::sync::{Arc, Mutex};

struct Done {
    id: u32,
    failure: Option<Arc<Failure>>,
}

struct Function(sys::napi_threadsafe_function);
// SAFETY: threadsafe functions are made to be called from any thread.
unsafe impl Send for Function {}

/// The driver's end. It outlives the environment: a completion for a closed one goes nowhere.
pub struct Mailbox {
    done: Mutex<Vec<Done>>,
    function: Mutex<Option<Function>>,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

impl Mailbox {
    /// Called on any thread.
    pub fn post(&self, id: u32, failure: Option<Arc<Failure>>) {
        let mut done = lock(&self.done);
        let first = done.is_empty();
        done.push(Done { id, failure });
        drop(done);
        if first && let Some(Function(function)) = &*lock(&self.function) {
            // SAFETY: the function exists while the option holds it; the environment takes it out before it ends.
            unsafe { sys::napi_call_threadsafe_function(*function, ptr::null_mut(), sys::ThreadsafeFunctionCallMode::nonblocking) };
        }
    }
}

/// JavaScript's end.
pub struct Completions {
    pub mailbox: Arc<Mailbox>,
    env: sys::napi_env,
    function: sys::napi_threadsafe_function,
    pending: u32,
    next: u32,
}

impl Completions {
    /// # Safety
    /// `env` is the current environment and `callback` a function in it.
    pub unsafe fn new(env: sys::napi_env, callback: sys::napi_value) -> Option<Completions> {
        let mut function = ptr::null_mut();
        let mut name = ptr::null_mut();
        let mailbox = Arc::new(Mailbox { done: Mutex::new(Vec::new()), function: Mutex::new(None) });
        // SAFETY: the environment and the callback are alive by the caller's promise; the context pointer is not used after the environment ends,
        // for Node runs `deliver` only before that, and the state (which holds the mailbox) goes last.
        unsafe {
            let label = c"ferrograd";
            if sys::napi_create_string_utf8(env, label.as_ptr(), label.count_bytes() as isize, &mut name) != sys::Status::napi_ok {
                return None;
            }
            let context = Arc::into_raw(mailbox.clone()) as *mut c_void;
            let status = sys::napi_create_threadsafe_function(
                env,
                callback,
                ptr::null_mut(),
                name,
                0,
                1,
                context,
                Some(release),
                context,
                Some(deliver),
                &mut function,
            );
            if status != sys::Status::napi_ok {
                drop(Arc::from_raw(context as *const Mailbox));
                return None;
            }
            sys::napi_unref_threadsafe_function(env, function);
        }
        *lock(&mailbox.function) = Some(Function(function));
        Some(Completions { mailbox, env, function, pending: 0, next: 0 })
    }

    /// A number for something awaited, never 0.
    pub fn number(&mut self) -> u32 {
        self.next = self.next.checked_add(1).unwrap_or(1);
        self.next
    }

    /// Whether nothing is awaited.
    pub fn is_idle(&self) -> bool {
        self.pending == 0
    }

    /// Something numbered will be delivered; the process stays alive until then.
    pub fn expect(&mut self) {
        if self.pending == 0 {
            // SAFETY: the environment is alive: we are on its thread.
            unsafe { sys::napi_ref_threadsafe_function(self.env, self.function) };
        }
        self.pending += 1;
    }

    pub fn delivered(&mut self, count: u32) {
        self.pending = self.pending.saturating_sub(count);
        if self.pending == 0 {
            // SAFETY: as in `expect`.
            unsafe { sys::napi_unref_threadsafe_function(self.env, self.function) };
        }
    }

    /// After this, posts go nowhere.
    pub fn close(&self) {
        *lock(&self.mailbox.function) = None;
    }
}

unsafe extern "C" fn release(_env: sys::napi_env, data: *mut c_void, _hint: *mut c_void) {
    // SAFETY: the pointer came from `Arc::into_raw` and is given back once.
    drop(unsafe { Arc::from_raw(data as *const Mailbox) });
}

/// Runs on JavaScript's thread: hands every completion to the callback as (id, code, op, message, module, sequence).
unsafe extern "C" fn deliver(env: sys::napi_env, callback: sys::napi_value, context: *mut c_void, _data: *mut c_void) {
    if env.is_null() || callback.is_null() {
        return;
    }
    // SAFETY: the context is the mailbox, kept alive until the function's finalizer has run.
    let mailbox = unsafe { &*(context as *const Mailbox) };
    let done = std::mem::take(&mut *lock(&mailbox.done));
    crate::environment::with(|environment| environment.delivered(done.len() as u32));
    // SAFETY: the environment is alive, we are on its thread, and every value is made in the scope opened here.
    unsafe {
        let mut undefined = ptr::null_mut();
        sys::napi_get_undefined(env, &mut undefined);
        for item in done {
            let mut scope = ptr::null_mut();
            if sys::napi_open_handle_scope(env, &mut scope) != sys::Status::napi_ok {
                return;
            }
            let number = |value: f64| {
                let mut out = undefined;
                sys::napi_create_double(env, value, &mut out);
                out
            };
            let text = |value: &str| {
                let mut out = undefined;
                sys::napi_create_string_utf8(env, value.as_ptr().cast(), value.len() as isize, &mut out);
                out
            };
            let mut arguments = vec![number(item.id as f64)];
            if let Some(f) = &item.failure {
                arguments.extend([text(f.kind.code()), text(f.op), text(&f.message), number(f.module as f64), number(f.sequence as f64)]);
            }
            let mut result = ptr::null_mut();
            sys::napi_call_function(env, undefined, callback, arguments.len(), arguments.as_ptr(), &mut result);
            sys::napi_close_handle_scope(env, scope);
        }
    }
}
