//! Memory between the socket and the host: blocks that one fills and many read, a bounded pool of
//! them, and the trains of slices that a gathered send carries. The only room whose unsafe code
//! is about memory.

mod arena;
mod block;
mod chunk;
pub mod heap;
mod lock;
mod mapper;
mod part;
mod pool;
pub mod rank;
#[cfg(test)]
mod tests;
mod train;

pub use arena::Arena;
pub use chunk::{Chunk, Reader, Release, Slice, Source};
pub use lock::{Condvar, Lock, LockGuard, Mutex, MutexGuard, RwLock};
pub use mapper::{HEAP, Mapper};
pub use part::Part;
pub use pool::{ARENA_BYTES, CHUNK_BYTES, Pool, Purpose};
pub use train::{TRAIN_MAX, Train};
