//! What is of the process, and not of a net.

use crate::engine::shared::error::Error;
use crate::engine::shared::tags::Tag;
use crate::io::threads::{self, ThreadHook};

/// Has the library's threads announced to the host. Refused while a net lives, whose threads would
/// be half announced.
pub fn set_thread_hook(hook: Option<ThreadHook>) -> Result<(), Error> {
    Tag::while_none_lives(|| threads::set_hook(hook)).ok_or(Error::Busy)
}
