// SPDX-License-Identifier: GPL-2.0-only

//! The persistence engine for SIP.

ipvs::module_engine! {
    engine: lvs_core::sip::CallId,
    shown: c"sip",
    name: "ipvs_rs_pe_sip",
    description: "Persistence by the Call-ID of SIP messages",
}
