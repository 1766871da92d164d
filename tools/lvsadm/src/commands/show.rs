// SPDX-License-Identifier: GPL-2.0-only

//! `show` and `describe`.

use crate::cli::Target;
use crate::client::Director;
use crate::error::Error;
use crate::format::order;
use crate::host::Host;
use crate::model::Group;
use crate::report::{self, ServiceReport};

/// The reports about the services that match, in the order of listings.
///
/// # Errors
///
/// When the director gives no answer, or no service matches.
pub fn reports(
    director: &mut dyn Director,
    host: &dyn Host,
    target: Option<&Target>,
) -> Result<Vec<ServiceReport>, Error> {
    let mut groups: Vec<Group> = director
        .table(true)?
        .into_iter()
        .filter(|group| target.is_none_or(|target| target.matches(&group.service.service.id)))
        .collect();
    if groups.is_empty() && target.is_some() {
        return Err(Error::Failed(
            "there is no such service (lvsadm show lists the services)".to_owned(),
        ));
    }
    for group in &mut groups {
        order::sort(&mut group.destinations, order::destinations);
    }
    order::sort(&mut groups, |a, b| order::services(&a.service, &b.service));
    Ok(groups
        .iter()
        .map(|group| report::service(group, host))
        .collect())
}
