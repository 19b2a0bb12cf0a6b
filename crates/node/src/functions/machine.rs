//! Questions about the op table and the machine.
use ferrograd_runtime::{AttrKind, Kind, Op, Section};
use napi_derive::napi;

/// The op table as JSON: what the build writes `ts/native/run.ts` from.
#[napi(catch_unwind)]
pub fn op_table() -> String {
    let rows = Op::ALL.iter().map(|op| {
        let spec = op.spec();
        let section = match spec.section {
            Section::Unary => "unary",
            Section::Binary => "binary",
            Section::View => "view",
            Section::Kernel => "kernel",
        };
        let operands = spec.operands.iter().map(|(name, kind)| {
            let kind = match kind {
                Kind::In => "In",
                Kind::Opt => "Opt",
                Kind::List => "List",
                Kind::Mut => "Mut",
                Kind::MutList => "MutList",
            };
            format!("[\"{name}\",\"{kind}\"]")
        });
        let attrs = spec.attrs.iter().map(|(name, kind)| {
            let kind = match kind {
                AttrKind::I64 => "i64",
                AttrKind::F64 => "f64",
                AttrKind::Bool => "bool",
                AttrKind::Dims => "Dims",
            };
            format!("[\"{name}\",\"{kind}\"]")
        });
        let list = |items: Vec<String>| format!("[{}]", items.join(","));
        format!(
            "{{\"code\":{},\"name\":\"{}\",\"section\":\"{section}\",\"operands\":{},\"attrs\":{},\"outputs\":{},\"strided\":{},\"fallible\":{}}}",
            *op as u16, spec.name, list(operands.collect()), list(attrs.collect()),
            list(spec.outputs.iter().map(|o| format!("\"{o}\"")).collect()), spec.strided, spec.fallible,
        )
    });
    format!("[{}]", rows.collect::<Vec<_>>().join(","))
}

#[napi(object)]
pub struct MachineInfo {
    pub version: String,
    pub isa: String,
    pub isa_note: Option<String>,
    pub threads: u32,
    pub affinity: u32,
    pub quota: Option<f64>,
    pub requested_threads: Option<u32>,
    pub cuda: bool,
    pub cuda_note: String,
}

/// What `ferrograd doctor` shows. Starts nothing but a look for the CUDA driver.
#[napi(catch_unwind)]
pub fn machine() -> MachineInfo {
    let limits = ferrograd_runtime::Limits::read();
    let cuda = ferrograd_runtime::cuda_status();
    MachineInfo {
        version: env!("CARGO_PKG_VERSION").into(),
        isa: ferrograd_runtime::isa_name().into(),
        isa_note: ferrograd_runtime::isa_note().map(Into::into),
        threads: limits.threads as u32,
        affinity: limits.affinity as u32,
        quota: limits.quota,
        requested_threads: limits.requested.map(|n| n as u32),
        cuda: cuda.is_ok(),
        cuda_note: cuda.unwrap_or_else(|why| why),
    }
}

#[napi(object)]
pub struct ProfileRow {
    pub op: String,
    pub dtype: Option<String>,
    pub shape: Vec<u32>,
    pub calls: f64,
    pub ms: f64,
    pub bytes: f64,
}

/// Starts noting the duration of every command, process-wide.
#[napi(catch_unwind)]
pub fn start_profile() {
    ferrograd_runtime::start_profile();
}

/// Stops noting; gives a row an op and shape, the longest first.
#[napi(catch_unwind)]
pub fn take_profile() -> Vec<ProfileRow> {
    let row = |row: ferrograd_runtime::ProfileRow| ProfileRow {
        op: row.op.into(),
        dtype: row.dtype.map(|d| d.to_string()),
        shape: row.dims.iter().map(|&d| d as u32).collect(),
        calls: row.calls as f64,
        ms: row.total.as_secs_f64() * 1e3,
        bytes: row.bytes as f64,
    };
    ferrograd_runtime::take_profile().into_iter().map(row).collect()
}
