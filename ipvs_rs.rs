// SPDX-License-Identifier: GPL-2.0-only

//! The root of the `ipvs_rs` module: brings the parts up and takes them down, nothing else.

use core::borrow::Borrow;
use ipvs::{Administrators, Ipvs};
use kernel::prelude::*;

module! {
    type: Module,
    name: "ipvs_rs",
    authors: ["The ipvs_rs authors"],
    description: "Linux Virtual Server director",
    license: "GPL",
    params: {
        delegate: u8 {
            default: 0,
            description: "1: root of a user namespace directs in its own networks",
        },
    },
}

struct Module {
    _ipvs: Ipvs,
}

impl kernel::Module for Module {
    fn init(module: &'static ThisModule) -> Result<Self> {
        // Linux 7.2 returns a reference, Linux 7.3 the value.
        let administrators = match *Borrow::<u8>::borrow(&module_parameters::delegate.value()) {
            0 => Administrators::Host,
            _ => Administrators::Namespaces,
        };
        Ok(Self {
            _ipvs: Ipvs::new(module, administrators)?,
        })
    }
}
