//! Recording a step, and replaying it.
use super::Session;
use crate::program::{Captured, Recorder};
use crate::storage::{Device, Mark, Tensor};
use crate::stream::Job;
use ferrograd_tensor::{DType, Error, ErrorKind, Result, Shape};
use std::rc::Rc;

impl Session {
    pub fn is_recording(&self) -> bool {
        self.recorder.is_some()
    }
    /// Starts recording. Arguments are made contiguous; the tensors that stand for them while recording are given back.
    pub fn begin_capture(&mut self, arguments: &[Rc<Tensor>]) -> Result<Vec<Rc<Tensor>>> {
        self.refuse_inside_capture()?;
        let arguments = arguments.iter().map(|a| self.planned(a.meta.dtype, &a.meta.shape(), a.device)).collect::<Vec<_>>();
        self.recorder = Some(Recorder::new(arguments.clone()));
        Ok(arguments)
    }
    pub fn end_capture(&mut self, outputs: &[Rc<Tensor>]) -> Result<Captured> {
        let recorder = self.recorder.take().ok_or_else(|| Error::internal("no recording is under way"))?;
        Ok(recorder.finish(outputs))
    }
    pub fn abort_capture(&mut self) {
        self.recorder = None;
        self.suspended = None;
    }
    /// Runs commands at once, or records them again: for state that is made inside a step but belongs outside it.
    pub fn suspend_capture(&mut self, suspended: bool) {
        if suspended && self.recorder.is_some() {
            self.suspended = self.recorder.take();
        } else if !suspended && self.suspended.is_some() {
            self.recorder = self.suspended.take();
        }
    }
    /// A further argument, found while recording. Gives its stand-in.
    pub fn capture_argument(&mut self, argument: &Tensor) -> Result<Rc<Tensor>> {
        let stand_in = self.planned(argument.meta.dtype, &argument.meta.shape(), argument.device);
        let recorder = self.recorder.as_mut().ok_or_else(|| Error::internal("no recording is under way"))?;
        recorder.add_argument(stand_in.clone());
        Ok(stand_in)
    }
    fn refuse_inside_capture(&self) -> Result<()> {
        if self.recorder.is_none() && self.suspended.is_none() {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Capture,
            "a compiled function was called while another is being recorded. Call the plain function inside.",
        ))
    }
    pub fn replay(&mut self, captured: &Captured, arguments: Vec<Rc<Tensor>>) -> Result<Vec<Rc<Tensor>>> {
        self.refuse_inside_capture()?;
        let mut bound = Vec::with_capacity(arguments.len());
        for argument in arguments {
            let ready = argument.meta.layout.is_contiguous() && argument.meta.layout.offset == 0;
            bound.push(if ready { argument } else { self.contiguous(&argument)? });
        }
        self.start();
        self.flush_releases();
        let (replay, outputs) = captured.bind(&bound, |bytes| Ok(self.planned(DType::U8, &Shape::new(&[bytes])?, Device::Cpu)))?;
        for tensor in bound.iter().chain(&captured.persistent) {
            self.order_after(tensor.storage().writer());
        }
        // What it writes in place must have been read.
        for tensor in &captured.persistent {
            tensor.storage().each_reader(|mark| self.order_after(mark));
        }
        let sequence = self.push(Job::Replay(Box::new(replay)));
        let mark = Mark { stream: self.streams[self.current].id, sequence };
        outputs.iter().chain(&captured.persistent).for_each(|t| t.storage().set_writer(mark));
        bound.iter().for_each(|t| t.storage().add_reader(mark));
        Ok(outputs)
    }
}

/// The error for what cannot be done while a step is being recorded.
pub(super) fn refusal(what: &str) -> Error {
    Error::new(
        ErrorKind::Capture,
        format!(
            "{what} is not possible inside a compiled function: it is recorded once and has no values then. Return the tensor and read it outside."
        ),
    )
}
