use cudarc::driver::{CudaContext, sys};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What the first CUDA device is, or why there is none. Never panics: without a driver the binding's own calls would.
pub fn status() -> Result<String, String> {
    // SAFETY: only looks whether the library can be opened.
    let present = catch_unwind(|| unsafe { sys::is_culib_present() }).unwrap_or(false);
    if !present {
        return Err("no NVIDIA driver: libcuda could not be loaded. Install the driver, or stay on the CPU.".into());
    }
    let probe = AssertUnwindSafe(|| -> Result<String, String> {
        let context = CudaContext::new(0).map_err(|e| format!("the driver gives no device: code {:?}", e.0 as u32))?;
        let name = context.name().map_err(|e| format!("device 0 has no name: code {:?}", e.0 as u32))?;
        let (major, minor) = context.compute_capability().map_err(|e| format!("device 0 tells no capability: code {:?}", e.0 as u32))?;
        Ok(format!("{name} (compute capability {major}.{minor})"))
    });
    // Formatting a driver error asks the driver for its text and panics where that is missing; so only the code is told.
    let device = catch_unwind(probe).unwrap_or_else(|_| Err("the driver failed while it was asked for device 0".into()))?;
    // There is a device, but no op of this version has a CUDA kernel yet: saying that it is available would be a promise nothing keeps.
    Err(format!("found {device}, but this version has no CUDA kernels yet: everything runs on the CPU"))
}
