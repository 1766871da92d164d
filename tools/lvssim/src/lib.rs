// SPDX-License-Identifier: GPL-2.0-only

//! `lvssim`: simulates a Linux Virtual Server with the director's own schedulers.
//!
//! | module | subject |
//! |---|---|
//! | [`access`] | how evenly hashes spread the clients of a log |
//! | [`mod@bench`] | the speed of the models |
//! | [`mod@capacity`] | how many servers one director carries |
//! | [`engine`] | time and the event queue |
//! | [`random`] | streams of random numbers, distributions, arrival processes |
//! | [`policy`] | the adapter to `lvs_core::scheduler`; baselines |
//! | [`cluster`] | clients, director, servers with queues |
//! | [`scenario`] | scenario files, and what is wrong with them |
//! | [`measured`] | what the module costs |
//! | [`metric`] | quantities |
//! | [`experiment`] | runs of scenarios, tables |
//! | [`lan`] | the 2003 report's LAN, and its figures |
//! | [`replay`] | one event after another, for comparison with the module |
//! | [`plot`] | figures as SVG |
//! | [`report`] | the page with all figures |
//! | [`statistics`] | confidence intervals, warm-up, fairness |
//! | [`theory`] | what queueing theory says |
//! | [`validate`] | the model against theory |
//! | [`cli`] | options, completions, the manual page |
//!
//! Nothing here writes to the terminal but `main`, and no scheduler of the director is implemented
//! here.

pub mod access;
pub mod bench;
pub mod capacity;
pub mod cli;
pub mod cluster;
pub mod engine;
pub mod experiment;
pub mod lan;
pub mod measured;
pub mod metric;
pub mod plot;
pub mod policy;
pub mod random;
pub mod replay;
pub mod report;
pub mod scenario;
pub mod statistics;
pub mod theory;
pub mod validate;
