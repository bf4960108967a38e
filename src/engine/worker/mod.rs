//! What a turn of a worker does. Read `turn.rs` first.

pub mod abroad;
pub mod baton;
pub mod carried;
pub mod carriers;
pub mod carry;
pub mod crew;
pub mod datagrams;
pub mod desk;
pub mod doors;
pub mod fanout;
pub mod host_timers;
pub mod late;
pub mod memory;
pub mod moves;
pub mod opening;
pub mod part;
pub mod places;
pub mod race;
pub mod rings;
pub mod roam;
pub mod stop;
pub mod tend;
pub mod timers;
pub mod turn;
pub mod watch;
pub mod weather;
