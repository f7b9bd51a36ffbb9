//! Threads for what keeps a core busy for long.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::{io, thread};

use tokio::sync::oneshot;

/// By how much their niceness (nice(2)) is more than the process's. Where every core is wanted, they get a tenth of one:
/// queries hardly wait for them, and nobody waits for ever. The scheduler's idle class would give them a three-hundredth.
#[cfg(target_os = "linux")]
const NICER_BY: i32 = 10;

type Work = Box<dyn FnOnce() + Send>;

/// Threads that step back behind the process's others (on Linux; elsewhere they run like the rest). They are all there
/// from the start, so that none is lacking when it is wanted, and end when this is dropped.
#[derive(Debug)]
pub(super) struct Threads(Sender<Work>);

impl Threads {
    /// Starts so many.
    ///
    /// # Errors
    /// When the system does not give that many.
    pub(super) fn start(count: usize) -> io::Result<Self> {
        let (work, next) = channel();
        let next = Arc::new(Mutex::new(next));
        for _ in 0..count {
            let next = Arc::clone(&next);
            let begin = move || {
                step_back();
                keep_working(&next);
            };
            thread::Builder::new().name("hash".to_owned()).spawn(begin)?;
        }
        Ok(Self(work))
    }

    /// Does this on the first of them that is free; tells nothing if it panics.
    pub(super) fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> oneshot::Receiver<T> {
        let (tell, told) = oneshot::channel();
        let work = move || {
            let _ = tell.send(work()); // nobody may be waiting any more
        };
        // The threads live as long as this; were they gone, the work would be dropped and nothing told.
        let _ = self.0.send(Box::new(work));
        told
    }
}

fn keep_working(next: &Mutex<Receiver<Work>>) {
    loop {
        // Those who are free wait for each other here, and one of them for work.
        let work = next.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(work) = work else { return };
        // The panic has been written by then, and whoever waits is told: the next work finds the thread as it was.
        let _ = catch_unwind(AssertUnwindSafe(work));
    }
}

#[cfg(target_os = "linux")]
fn step_back() {
    // On Linux, a thread's own. Where a sandbox forbids it, the work is done as fast as the rest.
    let _ = rustix::process::nice(NICER_BY);
}

#[cfg(not(target_os = "linux"))]
fn step_back() {}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn who_hashes_steps_back_and_nobody_else() {
        let niceness = || rustix::process::getpriority_process(None).unwrap();
        let before = niceness();
        let within = Threads::start(1).unwrap().run(niceness).await.unwrap();
        assert_eq!(within, (before + NICER_BY).min(19));
        assert_eq!(niceness(), before);
    }

    #[tokio::test]
    async fn a_panic_is_told_and_ends_nobody_else_s_work() {
        let threads = Threads::start(1).unwrap();
        let failed = threads.run(|| assert!(std::hint::black_box(false), "on purpose"));
        assert!(failed.await.is_err());
        assert_eq!(threads.run(|| 7).await, Ok(7));
    }

    #[tokio::test]
    async fn all_of_them_work_at_once_and_end_with_the_pool() {
        let threads = Arc::new(Threads::start(2).unwrap());
        let (left, right) = (channel(), channel());
        let meet = |(mine, theirs): (Sender<()>, Receiver<()>), last: Option<Arc<Threads>>| {
            move || {
                mine.send(()).unwrap();
                theirs.recv().unwrap();
                drop(last);
                thread::current().id()
            }
        };
        // One of them is the last who has the threads.
        let first = threads.run(meet((left.0, right.1), Some(Arc::clone(&threads))));
        let second = threads.run(meet((right.0, left.1), None));
        drop(threads);
        assert_ne!(first.await.unwrap(), second.await.unwrap());
    }
}
