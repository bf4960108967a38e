//! Checks: what has to hold of the sources, the interface and the documentation.

pub mod abi;
pub mod c_text;
pub mod docs;
pub mod header;
pub mod matrix;
pub mod symbols;
pub mod test;
pub mod tidy;
pub mod unix;
