// SPDX-License-Identifier: GPL-2.0-only

//! `bench-report` turns the benchmark's measurements into a table, a JSON file and plots, and is
//! the gate on the instructions of a packet.
//!
//! | module | subject |
//! |---|---|
//! | [`record`] | the lines that the guest prints, and what is wrong with them |
//! | [`row_name`] | names of rows and their order |
//! | [`results`] | the rounds of each row and mode; medians, and comparisons of modes |
//! | [`table`] | text for people |
//! | [`json`] | the JSON file and its fields |
//! | [`plot`] | SVG plots |
//! | [`gate`] | instructions added per packet against what is recorded |
//! | [`profile`] | instructions of a packet by function |
//! | [`number`] | how numbers are written in text |
//! | [`cli`] | options, files, exit codes |
//! | [`error`] | what went wrong, in sentences |
//!
//! Arrows go one way: `cli` → `table`/`json`/`plot`/`gate` → `results` → `record`, and `cli` →
//! `profile`.
//! Belongs here: everything after the measuring. Never: measuring, or starting a guest.

pub mod cli;
pub mod error;
pub mod gate;
pub mod json;
pub mod number;
pub mod plot;
pub mod profile;
pub mod record;
pub mod results;
pub mod row_name;
pub mod table;

pub use cli::main;
