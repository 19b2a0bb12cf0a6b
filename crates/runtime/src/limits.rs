//! How many threads this process may keep busy: its CPU affinity, its cgroup's quota, and `FERROGRAD_NUM_THREADS`.
use std::fs;

/// What the machine grants, and what was chosen.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Processors that the scheduler may use for this process.
    pub affinity: usize,
    /// Processors' worth of time that the cgroup grants; `None` without a quota.
    pub quota: Option<f64>,
    /// `FERROGRAD_NUM_THREADS`, where it is a positive number.
    pub requested: Option<usize>,
    pub threads: usize,
}

const MOST_THREADS: usize = 256;

impl Limits {
    pub fn read() -> Limits {
        let affinity = std::thread::available_parallelism().map_or(1, |n| n.get());
        let affinity = scheduler_affinity().unwrap_or(affinity);
        let quota = cgroup_quota();
        let requested = std::env::var("FERROGRAD_NUM_THREADS").ok().and_then(|v| v.trim().parse().ok()).filter(|&n| n > 0);
        // A quota of 1.5 processors keeps two threads busy most of the time; rounding down would waste a third of it.
        let granted = quota.map_or(affinity, |q| affinity.min(q.ceil().max(1.0) as usize));
        Limits { affinity, quota, requested, threads: requested.unwrap_or(granted).clamp(1, MOST_THREADS) }
    }
}

#[cfg(target_os = "linux")]
fn scheduler_affinity() -> Option<usize> {
    // SAFETY: cpu_set_t is plain data; the kernel fills at most the size passed.
    let count = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        if libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &mut set) != 0 {
            return None;
        }
        libc::CPU_COUNT(&set)
    };
    usize::try_from(count).ok().filter(|&n| n > 0)
}

#[cfg(not(target_os = "linux"))]
fn scheduler_affinity() -> Option<usize> {
    None
}

/// The smallest quota on the way from this process's cgroup (v2 or v1) up to the root.
fn cgroup_quota() -> Option<f64> {
    let membership = fs::read_to_string("/proc/self/cgroup").ok()?;
    let mut smallest: Option<f64> = None;
    for line in membership.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next()) else { continue };
        let roots: &[&str] = match controllers {
            "" => &["/sys/fs/cgroup", "/sys/fs/cgroup/unified"],
            c if c.split(',').any(|c| c == "cpu") => &["/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu,cpuacct"],
            _ => continue,
        };
        for root in roots {
            let mut folder = std::path::PathBuf::from(format!("{root}{path}"));
            loop {
                if let Some(quota) = folder_quota(&folder) {
                    smallest = Some(smallest.map_or(quota, |s| s.min(quota)));
                }
                if folder.as_os_str() == *root || !folder.pop() || !folder.starts_with(root) {
                    break;
                }
            }
        }
    }
    smallest
}

fn folder_quota(folder: &std::path::Path) -> Option<f64> {
    if let Ok(text) = fs::read_to_string(folder.join("cpu.max")) {
        return parse_cpu_max(&text);
    }
    let number = |name: &str| fs::read_to_string(folder.join(name)).ok()?.trim().parse::<f64>().ok();
    let (quota, period) = (number("cpu.cfs_quota_us")?, number("cpu.cfs_period_us")?);
    (quota > 0.0 && period > 0.0).then(|| quota / period)
}

/// `"150000 100000"` is 1.5 processors, `"max 100000"` no quota.
fn parse_cpu_max(text: &str) -> Option<f64> {
    let mut words = text.split_whitespace();
    let quota: f64 = words.next()?.parse().ok()?;
    let period: f64 = words.next()?.parse().ok()?;
    (quota > 0.0 && period > 0.0).then(|| quota / period)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_max_is_read_as_processors() {
        assert_eq!(parse_cpu_max("150000 100000\n"), Some(1.5));
        assert_eq!(parse_cpu_max("max 100000\n"), None);
        assert_eq!(parse_cpu_max("rubbish"), None);
    }

    #[test]
    fn at_least_one_thread() {
        assert!(Limits::read().threads >= 1);
    }
}
