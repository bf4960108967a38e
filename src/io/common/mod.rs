//! What models have in common, whatever their kind: how much one turn receives, what a try of an
//! operation leaves, what a wait that failed means, and the receives and sends of datagrams.

pub mod datagrams;
pub mod receiving;
pub mod tried;
pub mod wait;
