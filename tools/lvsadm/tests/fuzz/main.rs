// SPDX-License-Identifier: GPL-2.0-only

//! The fuzz targets' bodies, run on what fuzzing has found to be of interest: see
//! `Documentation/fuzzing.rst`.

// Helpers are `pub` for the other modules of the test.
#![allow(unreachable_pub)]

#[path = "../../fuzz/src/lib.rs"]
mod fuzz;

use std::path::Path;

fn run_all(target: &str, run: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let mut files = 0;
    for entry in std::fs::read_dir(corpus.join(target)).unwrap() {
        let path = entry.unwrap().path();
        eprintln!("{}", path.display());
        run(&std::fs::read(path).unwrap());
        files += 1;
    }
    assert!(files > 10, "{files} files");
}

#[test]
fn options() {
    run_all("options", fuzz::options::run);
}

#[test]
fn rules() {
    run_all("rules", fuzz::rules::run);
}

#[test]
fn answers() {
    run_all("answers", fuzz::answers::run);
}

#[test]
fn connections() {
    run_all("connections", fuzz::connections::run);
}
