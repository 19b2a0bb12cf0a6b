fn main() {
    napi_build::setup();
    // The driver and the pool may still be unwinding when the last environment closes the library: it must stay mapped.
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        println!("cargo:rustc-link-arg=-Wl,-z,nodelete");
    }
}
