// SPDX-License-Identifier: GPL-2.0-only

//! `doctor`: looks for mistakes in the configuration of director and host.
//!
//! `facts` asks the kernel and its tools, and servers by `probe`. `checks` judges what they
//! answered and makes `finding`s. They share only the plain data in `Facts`, so that every check is
//! tested without a host.

mod checks;
mod facts;
mod finding;
mod probe;

pub use checks::{all, Check};
pub use facts::{gather, Facts, FirewallRule, Kernel, Link, Route};
pub use finding::Status;
pub use probe::{Answer, Target};
