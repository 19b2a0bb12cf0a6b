//! Streams, waiting for them, and anomaly mode.
use super::guarded;
use crate::environment::expect;
use napi_derive::napi;
use std::sync::Arc;

/// Answers with the number of a completion that comes when everything queued so far in the current stream has run.
#[napi(catch_unwind)]
pub fn sync() -> napi::Result<()> {
    guarded("sync", |e| {
        let mailbox = e.completions.mailbox.clone();
        let id = e.completions.number();
        e.session.host(move |failure| Some(Box::new(move || mailbox.post(id, failure))))?;
        e.announce(id)
    })
}

#[napi(catch_unwind)]
pub fn open_stream() -> napi::Result<u32> {
    expect(|e| e.session.open_stream())
}

/// Makes a stream current (0: the environment's first); gives the one before.
#[napi(catch_unwind)]
pub fn use_stream(id: u32) -> napi::Result<u32> {
    expect(|e| e.session.use_stream(id))?.map_err(|e| napi::Error::from_reason(e.message))
}

#[napi(catch_unwind)]
pub fn close_stream(id: u32) -> napi::Result<()> {
    expect(|e| e.session.close_stream(id))
}

/// Holds the current stream until `openGate`: for tests of what is queued and what has run.
#[napi(catch_unwind)]
pub fn gate() -> napi::Result<u32> {
    expect(|e| {
        let (id, event) = (e.fresh_id(), Arc::default());
        e.gates.insert(id, Arc::clone(&event));
        e.session.gate(event);
        id
    })
}

#[napi(catch_unwind)]
pub fn open_gate(id: u32) -> napi::Result<()> {
    expect(|e| {
        if let Some(event) = e.gates.remove(&id) {
            e.session.runtime().set(&event);
        }
    })
}

/// Jobs pushed to and finished by the current stream.
#[napi(catch_unwind)]
pub fn stream_progress() -> napi::Result<Vec<f64>> {
    expect(|e| {
        let stream = e.session.stream();
        vec![stream.pushed() as f64, stream.completed() as f64]
    })
}

/// Anomaly mode: every command's float results are searched for NaN and infinity. Gives the mode before.
#[napi(catch_unwind)]
pub fn set_anomaly(on: bool) -> napi::Result<bool> {
    expect(|e| std::mem::replace(&mut e.session.anomaly, on))
}
