// SPDX-License-Identifier: GPL-2.0-only

//! The table of regions of the kernel's director.

use lvs_core::extension::feature;

use super::kernel::Kernel;
use crate::error::{self, Error};
use crate::netlink::native::Request;
use crate::netlink::socket::Mode;
use crate::netlink::{regions, Connection, Failure};

impl Kernel {
    /// Replaces the table; an empty one removes it.
    ///
    /// # Errors
    ///
    /// [`Error::Failed`].
    pub fn load_regions(&mut self, octets: &[u8]) -> Result<(), Error> {
        let what = "load the table of regions";
        let request = Request::load_regions(octets);
        self.with_regions(what)?
            .stream(&request, Mode::One, &mut |_| Ok(()))
            .map_err(|failure| error::query(what, &failure))
    }

    /// The table; empty if there is none.
    ///
    /// # Errors
    ///
    /// [`Error::Failed`].
    pub fn regions(&mut self) -> Result<Vec<u8>, Error> {
        let what = "list the table of regions";
        let mut octets = Vec::new();
        self.with_regions(what)?
            .stream(&Request::regions(), Mode::Dump, &mut |part| {
                regions::read(part, &mut octets)
            })
            .map_err(|failure| error::query(what, &failure))?;
        Ok(octets)
    }

    fn with_regions(&mut self, what: &str) -> Result<&mut Connection, Error> {
        let failed = |failure: Failure| error::query(what, &failure);
        self.extension(feature::REGIONS)
            .map_err(failed)?
            .ok_or_else(|| {
                Error::Failed(format!(
                    "cannot {what}: the kernel module does not offer it (ipvs_rs does)"
                ))
            })
    }
}
