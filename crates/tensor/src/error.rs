use std::fmt;

/// What went wrong, as the class of the JavaScript error that will carry it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    Shape,
    DType,
    Device,
    /// An index read from data lies outside its range.
    Index,
    /// An argument that is neither a shape nor a dtype is out of its range.
    Value,
    Memory,
    /// A disposed or foreign handle.
    Disposed,
    /// NaN or infinity found in anomaly mode.
    NonFinite,
    Cancelled,
    /// Something that a captured step cannot do.
    Capture,
    /// A fault of the library's own.
    Internal,
}

impl ErrorKind {
    /// The code JavaScript sees as `error.code`.
    pub fn code(self) -> &'static str {
        match self {
            ErrorKind::Shape => "ERR_SHAPE",
            ErrorKind::DType => "ERR_DTYPE",
            ErrorKind::Device => "ERR_DEVICE",
            ErrorKind::Index => "ERR_INDEX",
            ErrorKind::Value => "ERR_VALUE",
            ErrorKind::Memory => "ERR_OUT_OF_MEMORY",
            ErrorKind::Disposed => "ERR_DISPOSED",
            ErrorKind::NonFinite => "ERR_NON_FINITE",
            ErrorKind::Cancelled => "ERR_CANCELLED",
            ErrorKind::Capture => "ERR_CAPTURE",
            ErrorKind::Internal => "ERR_INTERNAL",
        }
    }
}

/// An error of an op. The message states the fault and the way out; the op's name is put before it by the runtime.
#[derive(Clone, Debug)]
pub struct Error {
    pub kind: ErrorKind,
    pub message: String,
}

pub type Result<T = ()> = std::result::Result<T, Error>;

impl Error {
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Error { kind, message: message.into() }
    }
    pub fn shape(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Shape, message)
    }
    pub fn dtype(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::DType, message)
    }
    pub fn index(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Index, message)
    }
    pub fn value(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Value, message)
    }
    pub fn memory(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Memory, message)
    }
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
