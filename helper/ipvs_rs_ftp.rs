// SPDX-License-Identifier: GPL-2.0-only

//! The helper for FTP.

ipvs::module_helper! {
    helper: lvs_core::ftp::Ftp,
    port: lvs_core::ftp::PORT,
    ports: "The ports of control connections (up to 8)",
    shown: c"ftp",
    name: "ipvs_rs_ftp",
    description: "The helper for FTP control connections",
}
