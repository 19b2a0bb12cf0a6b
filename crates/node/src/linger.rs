//! Reads that are over in a moment. An event loop that sleeps takes some 15 µs to wake up, twice what a small network's prediction takes; so whoever
//! asks for values looks for a moment whether they come, giving way to other threads, before the answer is left to the event loop. Where they do not
//! come that soon, as behind a training step, reads stop looking.
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

/// The longest look.
const MOMENT: Duration = Duration::from_micros(100);
/// Answers at once let promises go on without the event loop; it turns at least this often all the same.
const TURN: Duration = Duration::from_millis(1);
/// Looks at the hand between two at the clock, with a chance for other threads.
const LOOKS: u32 = 4;
/// Reads in a row that do not look, at most.
const MOST_SKIPPED: u32 = 63;

/// What the driver and the reader each leave for the other.
#[derive(Default)]
pub struct Hand(AtomicU8);

const AWAITED: u8 = 0;
const HERE: u8 = 1;
const FAILED: u8 = 2;
const LEFT: u8 = 3;

impl Hand {
    /// The driver's side. True where the completion has to be posted.
    pub fn give(&self, failed: bool) -> bool {
        failed | (self.0.swap(if failed { FAILED } else { HERE }, Ordering::AcqRel) == LEFT)
    }

    /// The reader's side: true where the values are here, and nothing will be posted.
    pub fn leave(&self) -> bool {
        self.0.compare_exchange(AWAITED, LEFT, Ordering::AcqRel, Ordering::Acquire) == Err(HERE)
    }

    fn is_awaited(&self) -> bool {
        self.0.load(Ordering::Acquire) == AWAITED
    }
}

/// How reads of an environment fared.
pub struct Linger {
    /// Looks in vain since the last that was not.
    misses: u32,
    /// Reads to come that do not look.
    skip: u32,
    /// The first answer at once since the event loop turned.
    since: Option<Instant>,
}

impl Linger {
    pub fn new() -> Linger {
        Linger { misses: 0, skip: 0, since: None }
    }

    /// Looks for a moment; whether the values are here, and nothing will be posted.
    pub fn wait(&mut self, hand: &Hand) -> bool {
        if self.skip > 0 {
            self.skip -= 1;
            return hand.leave();
        }
        let begun = Instant::now();
        let mut looks = 0;
        while hand.is_awaited() {
            std::hint::spin_loop();
            looks += 1;
            if looks % LOOKS == 0 {
                std::thread::yield_now();
                if begun.elapsed() >= MOMENT {
                    self.misses += 1;
                    self.skip = (1u32 << self.misses.min(6)).min(MOST_SKIPPED);
                    return hand.leave();
                }
            }
        }
        self.misses = 0;
        hand.leave()
    }

    /// Whether an answer may go on without the event loop.
    pub fn may_answer(&mut self) -> bool {
        self.since.get_or_insert_with(Instant::now).elapsed() < TURN
    }

    /// The event loop has turned.
    pub fn turned(&mut self) {
        self.since = None;
    }
}
