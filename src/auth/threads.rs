//! Threads for what keeps a core busy for long.

use std::io;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::JoinHandle;

/// By how much their niceness (nice(2)) is more than the process's. Where every core is wanted, they get a tenth of one: queries
/// hardly wait for them, and nobody waits for ever. The scheduler's idle class would give them a three-hundredth.
#[cfg(target_os = "linux")]
const NICER_BY: i32 = 10;

/// A number of threads that step back behind the process's others. (On Linux; elsewhere a thread's priority is its process's.)
#[derive(Debug)]
pub(super) struct Threads {
    handle: Handle,
    /// There until it is dropped.
    runtime: Option<Runtime>,
}

impl Threads {
    /// Up to `most` threads at once; each is started when there is work for it, and ends when there was none for a while.
    pub(super) fn new(most: usize) -> io::Result<Self> {
        // Nothing is ever driven by this runtime: it is here for its threads.
        let runtime = Builder::new_current_thread()
            .max_blocking_threads(most)
            .thread_name("hash")
            .on_thread_start(step_back)
            .build()?;
        Ok(Self {
            handle: runtime.handle().clone(),
            runtime: Some(runtime),
        })
    }

    /// Does this on one of them.
    pub(super) fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        self.handle.spawn_blocking(work)
    }
}

impl Drop for Threads {
    /// What is at work ends by itself: a runtime that is dropped would wait for it, which must not be where others run.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
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
    use std::sync::Arc;
    use std::sync::mpsc::channel;

    use super::*;

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn who_hashes_steps_back_and_nobody_else() {
        let niceness = || rustix::process::getpriority_process(None).unwrap();
        let before = niceness();
        let threads = Threads::new(1).unwrap();
        let within = threads.run(niceness).await.unwrap();
        assert_eq!(within, (before + NICER_BY).min(19));
        assert_eq!(niceness(), before);
        assert_eq!(tokio::task::spawn_blocking(niceness).await.unwrap(), before);
    }

    #[tokio::test]
    async fn they_can_be_dropped_while_they_work_wherever_that_is() {
        for by_themselves in [false, true] {
            let threads = Arc::new(Threads::new(1).unwrap());
            let ((began, begin), (done, told)) = (channel(), channel());
            let last = by_themselves.then(|| Arc::clone(&threads));
            let working = threads.run(move || {
                began.send(()).unwrap();
                let told = told.recv();
                drop(last);
                told
            });
            begin.recv().unwrap();
            drop(threads);
            done.send(7).unwrap();
            assert_eq!(working.await.unwrap(), Ok(7));
        }
    }
}
