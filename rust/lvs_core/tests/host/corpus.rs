// SPDX-License-Identifier: GPL-2.0-only

//! Runs the bodies of the fuzz targets on their corpora: see `Documentation/fuzzing.rst`.

use crate::fuzz;
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
fn packet() {
    run_all("packet", fuzz::packet::run);
}

#[test]
fn rewrite() {
    run_all("rewrite", fuzz::rewrite::run);
}

#[test]
fn icmp() {
    run_all("icmp", fuzz::icmp::run);
}

#[test]
fn tunnel() {
    run_all("tunnel", fuzz::tunnel::run);
}

#[test]
fn netlink() {
    run_all("netlink", fuzz::netlink::run);
}

#[test]
fn sync() {
    run_all("sync", fuzz::sync::run);
}

#[test]
fn sync_join() {
    run_all("sync_join", fuzz::sync_join::run);
}

#[test]
fn regions() {
    run_all("regions", fuzz::regions::run);
}

#[test]
fn sip() {
    run_all("sip", fuzz::sip::run);
}

#[test]
fn ftp() {
    run_all("ftp", fuzz::ftp::run);
}
