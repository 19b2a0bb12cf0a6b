//! Tensors handed from one worker to another by number.
use super::guarded;
use ferrograd_runtime::Parcel;
use ferrograd_tensor::Error;
use napi_derive::napi;
use std::collections::HashMap;
use std::sync::Mutex;

static SHARED: Mutex<Option<HashMap<u32, Parcel>>> = Mutex::new(None);

/// Publishes a tensor to the process's other environments, once its commands have run. The answer's first number is for `adopt`.
#[napi(catch_unwind)]
pub fn publish(slot: i32, generation: i32) -> napi::Result<()> {
    guarded("share", |e| {
        let tensor = e.session.pack(e.handles.get(slot, generation)?);
        let mut shared = SHARED.lock().unwrap_or_else(|e| e.into_inner());
        let shared = shared.get_or_insert_default();
        let id = (1..=u32::MAX).find(|id| !shared.contains_key(id)).ok_or_else(|| Error::value("no share number is free"))?;
        shared.insert(id, tensor);
        e.commands.set(0, 1)?;
        e.commands.set(1, id as i32)
    })
}

/// A handle of this environment on a published tensor.
#[napi(catch_unwind)]
pub fn adopt(id: u32) -> napi::Result<()> {
    guarded("fromShared", |e| {
        let shared = SHARED.lock().unwrap_or_else(|e| e.into_inner());
        let parcel = shared.as_ref().and_then(|s| s.get(&id)).ok_or_else(|| Error::value("the share token was revoked, or is none"))?;
        let tensor = e.session.unpack(parcel);
        e.answer([tensor].into_iter())
    })
}

#[napi(catch_unwind)]
pub fn unpublish(id: u32) {
    if let Some(shared) = SHARED.lock().unwrap_or_else(|e| e.into_inner()).as_mut() {
        shared.remove(&id);
    }
}
