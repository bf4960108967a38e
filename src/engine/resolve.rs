//! Names, looked up on threads of their own: getaddrinfo(3) blocks, and cannot be interrupted.

use super::Core;
use super::inbox::Command;
use crate::io::Token;
use crate::io::os::sys;
use parking_lot::Mutex;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use tokio::runtime::{Builder, Runtime};

/// Look-ups that may run at once; more wait.
const THREADS_MAX: usize = 4;

/// Started with the first name; most servers never have one.
#[derive(Default)]
pub struct Resolver(Mutex<Option<Runtime>>);

impl Resolver {
    /// Looks a name up and posts the answer to the worker `home`.
    pub fn start(
        &self,
        core: &Arc<Core>,
        token: Token,
        home: usize,
        name: (String, u16),
    ) -> io::Result<()> {
        let mut runtime = self.0.lock();
        let runtime = match &mut *runtime {
            Some(runtime) => runtime,
            none => none.insert(sys::without_signals(|| {
                Builder::new_multi_thread()
                    .worker_threads(1)
                    .max_blocking_threads(THREADS_MAX)
                    .thread_name("sockeye-names")
                    .build()
            })?),
        };
        // A look-up that outlives the net holds nothing of it.
        let core: Weak<Core> = Arc::downgrade(core);
        runtime.spawn(async move {
            let found = tokio::net::lookup_host(name).await;
            let found = found
                .map(|addresses| addresses.collect::<Vec<SocketAddr>>())
                .map_err(|error| error.raw_os_error().unwrap_or(0));
            if let Some(core) = core.upgrade() {
                core.homes[home].post(Command::Resolved(token, found));
            }
        });
        Ok(())
    }

    /// Leaves what still looks up behind, detached.
    pub fn stop(&self) {
        if let Some(runtime) = self.0.lock().take() {
            runtime.shutdown_background();
        }
    }
}
