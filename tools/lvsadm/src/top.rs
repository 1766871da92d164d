// SPDX-License-Identifier: GPL-2.0-only

//! `top`: services and servers on the full screen.
//!
//! `state` holds what is shown and reacts to keys, `draw` paints it, and `terminal` is the loop;
//! `serve` shows the same on a web page.
//! Only the loop knows a terminal, so that screens are tested without one.

mod draw;
mod serve;
mod state;
mod terminal;

pub use draw::screen;
pub use serve::serve;
pub use state::{Connections, Key, Request, Row, Sample, Sort, State};
pub use terminal::{once, run, World};
