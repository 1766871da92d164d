// SPDX-License-Identifier: GPL-2.0-only

//! `top`: services and servers on the full screen.
//!
//! `state` holds what is shown and reacts to keys, `draw` paints it, and `terminal` is the loop.
//! Only the loop knows a terminal, so that screens are tested without one.

mod draw;
mod state;
mod terminal;

pub use draw::screen;
pub use state::{Key, Request, Row, Sample, Sort, State};
pub use terminal::{once, run, World};
