//! The only crate that knows JavaScript: environments, handles, errors. See `ts/native.ts` for the other end.
mod completion;
mod environment;
mod functions;
mod handles;
mod linger;
mod protocol;
