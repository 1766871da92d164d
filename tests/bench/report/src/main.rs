// SPDX-License-Identifier: GPL-2.0-only

//! The `bench-report` command. Belongs here: handing the arguments to the library and its answer to
//! the shell. Never: anything worth a test.

use std::process::ExitCode;

fn main() -> ExitCode {
    bench_report::main()
}
