//! What others are handed: installed trees, packages, and the plugins of engines.

pub mod bindings;
pub mod dotnet;
pub mod install;
pub mod package;
pub mod unreal;
