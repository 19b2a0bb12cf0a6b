use std::cell::Cell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// A vector path. Results may differ between paths in their last bits, never within one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isa {
    /// AVX-512 F, BW, DQ, VL: 16 lanes, 32 registers.
    Avx512,
    /// AVX2 with FMA and F16C: 8 lanes.
    Avx2,
    /// 64-bit ARM: 4 lanes.
    Neon,
    /// Plain Rust.
    Scalar,
}

impl Isa {
    const ALL: [Isa; 4] = [Isa::Avx512, Isa::Avx2, Isa::Neon, Isa::Scalar];

    /// As written in `FERROGRAD_ISA`.
    pub fn name(self) -> &'static str {
        match self {
            Isa::Avx512 => "avx512",
            Isa::Avx2 => "avx2",
            Isa::Neon => "neon",
            Isa::Scalar => "scalar",
        }
    }
    /// True where this machine can run the path.
    pub fn is_available(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => {
                is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
                    && Isa::Avx2.is_available()
            }
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c"),
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => true,
            Isa::Scalar => true,
            #[allow(unreachable_patterns)]
            _ => false,
        }
    }
    /// The paths that this machine can run, best first.
    pub fn available() -> impl Iterator<Item = Isa> {
        Self::ALL.into_iter().filter(|isa| isa.is_available())
    }
}

struct Choice {
    isa: Isa,
    note: Option<String>,
}

fn choice() -> &'static Choice {
    static CHOICE: OnceLock<Choice> = OnceLock::new();
    CHOICE.get_or_init(|| choose(std::env::var("FERROGRAD_ISA").ok().as_deref()))
}

fn choose(asked: Option<&str>) -> Choice {
    let best = Isa::available().next().unwrap_or(Isa::Scalar);
    let Some(asked) = asked.map(str::trim).filter(|s| !s.is_empty()) else { return Choice { isa: best, note: None } };
    match Isa::ALL.into_iter().find(|isa| isa.name().eq_ignore_ascii_case(asked)) {
        Some(isa) if isa.is_available() => Choice { isa, note: None },
        Some(isa) => {
            // A weaker path was probably asked for on purpose: the best one at or below it, in the order of `ALL`.
            let below = Isa::ALL.into_iter().skip_while(|&i| i != isa).find(|i| i.is_available()).unwrap_or(Isa::Scalar);
            Choice { isa: below, note: Some(format!("FERROGRAD_ISA={asked}: this CPU lacks it; {} is used instead", below.name())) }
        }
        None => Choice {
            isa: best,
            note: Some(format!("FERROGRAD_ISA={asked} is not one of avx512, avx2, neon, scalar; {} is used", best.name())),
        },
    }
}

static OVERRIDES: AtomicBool = AtomicBool::new(false);
thread_local! {
    static OVERRIDE: Cell<Option<Isa>> = const { Cell::new(None) };
}

/// The vector path in force: the best that the CPU has, or the one that `FERROGRAD_ISA` names, read once.
#[inline]
pub fn isa() -> Isa {
    if OVERRIDES.load(Ordering::Relaxed)
        && let Some(isa) = OVERRIDE.get()
    {
        return isa;
    }
    choice().isa
}

/// True where the path in force is AVX-512 and the CPU has its bf16 instructions too (AVX512-BF16), which not all do.
#[inline]
pub fn has_bf16_dot() -> bool {
    #[cfg(target_arch = "x86_64")]
    return isa() == Isa::Avx512 && is_x86_feature_detected!("avx512bf16");
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// True where the CPU multiplies bytes and adds four products in the vectors of the path in force: AVX512-VNNI on avx512, AVX-VNNI on avx2.
#[inline]
pub fn has_byte_dot() -> bool {
    #[cfg(target_arch = "x86_64")]
    return match isa() {
        Isa::Avx512 => is_x86_feature_detected!("avx512vnni"),
        Isa::Avx2 => is_x86_feature_detected!("avxvnni"),
        _ => false,
    };
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// Why the path differs from the one that `FERROGRAD_ISA` asked for, if it does.
pub fn isa_note() -> Option<&'static str> {
    choice().note.as_deref()
}

/// Runs `f` with `isa` in force on this thread alone. For tests. Panics if the CPU lacks it.
pub fn with_isa<R>(isa: Isa, f: impl FnOnce() -> R) -> R {
    assert!(isa.is_available(), "this CPU lacks {}", isa.name());
    struct Restore(Option<Isa>);
    impl Drop for Restore {
        fn drop(&mut self) {
            OVERRIDE.set(self.0);
        }
    }
    OVERRIDES.store(true, Ordering::Relaxed);
    let _restore = Restore(OVERRIDE.replace(Some(isa)));
    f()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_the_cpu_lacks_or_nobody_knows_falls_back_and_says_so() {
        assert!(choose(None).note.is_none());
        let foreign = if cfg!(target_arch = "aarch64") { "avx2" } else { "neon" };
        let fallen = choose(Some(foreign));
        assert!(fallen.isa.is_available() && fallen.note.unwrap().contains(foreign));
        assert!(choose(Some("mmx")).note.unwrap().contains("mmx"));
        let plain = choose(Some("Scalar"));
        assert!(plain.isa == Isa::Scalar && plain.note.is_none());
    }

    #[test]
    fn an_override_ends_with_its_closure() {
        let before = isa();
        with_isa(Isa::Scalar, || assert_eq!(isa(), Isa::Scalar));
        assert_eq!(isa(), before);
    }
}
