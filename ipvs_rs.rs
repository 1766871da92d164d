// SPDX-License-Identifier: GPL-2.0-only

//! The root of the `ipvs_rs` module: brings the parts up and takes them down, nothing else.

use ipvs::Ipvs;
use kernel::prelude::*;

module! {
    type: Module,
    name: "ipvs_rs",
    authors: ["The ipvs_rs authors"],
    description: "Linux Virtual Server director",
    license: "GPL",
}

struct Module {
    _ipvs: Ipvs,
}

impl kernel::Module for Module {
    fn init(module: &'static ThisModule) -> Result<Self> {
        Ok(Self {
            _ipvs: Ipvs::new(module)?,
        })
    }
}
