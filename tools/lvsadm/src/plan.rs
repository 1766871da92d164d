// SPDX-License-Identifier: GPL-2.0-only

//! What must change to make a director's table the wanted one, in a safe order.
//!
//! Belongs here: the comparison, the order, and the way back. Never: files, output.

use std::fmt;

use crate::client::Director;
use crate::desired::Wanted;
use crate::error::Error;
use crate::format::save;
use crate::model::{Change, Destination, Forwarding, Group, Service, ServiceFlags, ServiceId};

/// The kind of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Something new.
    Add,
    /// Something changes.
    Edit,
    /// Something goes.
    Delete,
}

impl Action {
    /// As JSON names it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Edit => "edit",
            Self::Delete => "delete",
        }
    }

    fn sign(self) -> char {
        match self {
            Self::Add => '+',
            Self::Edit => '~',
            Self::Delete => '-',
        }
    }
}

/// One change, and how to undo it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The change.
    pub change: Change,
    /// The changes that undo it.
    pub undo: Vec<Change>,
    /// Its kind.
    pub action: Action,
    /// The service.
    pub service: ServiceId,
    /// What there was, as a rule.
    pub before: Option<String>,
    /// What there will be, as a rule.
    pub after: Option<String>,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = self.action.sign();
        match (&self.before, &self.after) {
            (Some(before), Some(after)) => write!(f, "{sign} {before}\n  => {after}"),
            (Some(rule), None) | (None, Some(rule)) => write!(f, "{sign} {rule}"),
            (None, None) => write!(f, "{sign}"),
        }
    }
}

/// The steps from one table to another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The steps in the order in which they are safe.
    pub steps: Vec<Step>,
    /// Services that are there, but not in the file, and stay.
    pub left_alone: usize,
}

impl Plan {
    /// How many steps there are of a kind.
    #[must_use]
    pub fn count(&self, action: Action) -> usize {
        self.steps
            .iter()
            .filter(|step| step.action == action)
            .count()
    }
}

/// Compares a table with the wanted one. Services that are not wanted are deleted with `prune`
/// only.
///
/// Capacity is added before it is taken away, and what stays is edited in place, so connections of
/// what stays survive.
#[must_use]
pub fn between(current: &[Group], wanted: &[Wanted], prune: bool) -> Plan {
    let mut plan = Plan::default();
    let mut removals = Vec::new();
    for want in wanted {
        let id = &want.service.id;
        let have = current.iter().find(|group| group.service.service.id == *id);
        let Some(have) = have else {
            plan.steps.push(add_service(&want.service));
            let added = want.servers.iter().map(|server| add_server(id, server));
            plan.steps.extend(added);
            continue;
        };
        let server_of = |wanted: &Destination| {
            have.destinations
                .iter()
                .map(|entry| &entry.destination)
                .find(|server| server.id == wanted.id)
        };
        for server in &want.servers {
            match server_of(server) {
                None => plan.steps.push(add_server(id, server)),
                Some(old) if !same_server(old, server) => {
                    plan.steps.push(edit_server(id, old, server));
                }
                Some(_) => (),
            }
        }
        if !same_service(&have.service.service, &want.service) {
            plan.steps
                .push(edit_service(&have.service.service, &want.service));
        }
        for entry in &have.destinations {
            let old = &entry.destination;
            if !want.servers.iter().any(|server| server.id == old.id) {
                removals.push(delete_server(id, old));
            }
        }
    }
    for have in current {
        let service = &have.service.service;
        if wanted.iter().any(|want| want.service.id == service.id) {
            continue;
        }
        if prune {
            removals.push(delete_service(have));
        } else {
            plan.left_alone = plan.left_alone.saturating_add(1);
        }
    }
    plan.steps.extend(removals);
    plan
}

/// Carries a plan out in one transaction. With a director that has none, the steps before a
/// refused one are undone.
///
/// # Errors
///
/// The step that was refused, and whether the others could be undone.
pub fn carry_out(plan: &Plan, director: &mut dyn Director) -> Result<(), Error> {
    let changes: Vec<&Change> = plan.steps.iter().map(|step| &step.change).collect();
    if changes.is_empty() {
        return Ok(());
    }
    let at_once = director
        .change_at_once(&changes)
        .map_err(|error| error.reworded(format!("{error}; nothing was changed")))?;
    if at_once {
        return Ok(());
    }
    director.change_all(&changes).map_err(|(done, error)| {
        let undo: Vec<&Change> = plan
            .steps
            .iter()
            .take(done)
            .rev()
            .flat_map(|step| &step.undo)
            .collect();
        let outcome = match director.change_all(&undo) {
            Ok(()) => "nothing was changed".to_owned(),
            Err((_, again)) => format!("{done} steps before it could not be undone: {again}"),
        };
        error.reworded(format!("{error}; {outcome}"))
    })
}

/// Without persistence the kernel keeps a netmask and a timeout that have no effect.
fn same_service(old: &Service, new: &Service) -> bool {
    let effective = |service: &Service| {
        let mut service = service.clone();
        if !service.flags.contains(ServiceFlags::PERSISTENT) {
            service.timeout = 0;
            service.netmask = crate::model::Netmask::host(service.id.family());
        }
        // The kernel's own flag "hashed".
        service.flags = ServiceFlags(service.flags.0 & !ServiceFlags::HASHED.0);
        service
    };
    effective(old) == effective(new)
}

/// The kernel lists a server on the director itself as local, whatever its method was.
fn same_server(old: &Destination, new: &Destination) -> bool {
    let mut old = old.clone();
    if old.forwarding == Forwarding::Local {
        old.forwarding = new.forwarding;
    }
    if old.forwarding != Forwarding::Tunnel {
        old.tunnel = new.tunnel;
    }
    old == *new
}

fn add_service(service: &Service) -> Step {
    Step {
        change: Change::AddService(service.clone()),
        undo: vec![Change::DeleteService(service.id.clone())],
        action: Action::Add,
        service: service.id.clone(),
        before: None,
        after: Some(save::service_rule(service)),
    }
}

fn edit_service(old: &Service, new: &Service) -> Step {
    Step {
        change: Change::EditService(new.clone()),
        undo: vec![Change::EditService(old.clone())],
        action: Action::Edit,
        service: new.id.clone(),
        before: Some(save::service_rule(old)),
        after: Some(save::service_rule(new)),
    }
}

fn delete_service(group: &Group) -> Step {
    let service = &group.service.service;
    let mut undo = vec![Change::AddService(service.clone())];
    undo.extend(
        group
            .destinations
            .iter()
            .map(|entry| Change::AddDestination(service.id.clone(), entry.destination.clone())),
    );
    Step {
        change: Change::DeleteService(service.id.clone()),
        undo,
        action: Action::Delete,
        service: service.id.clone(),
        before: Some(save::service_rule(service)),
        after: None,
    }
}

fn add_server(id: &ServiceId, server: &Destination) -> Step {
    Step {
        change: Change::AddDestination(id.clone(), server.clone()),
        undo: vec![Change::DeleteDestination(id.clone(), server.id)],
        action: Action::Add,
        service: id.clone(),
        before: None,
        after: Some(save::server_rule(id, server)),
    }
}

fn edit_server(id: &ServiceId, old: &Destination, new: &Destination) -> Step {
    Step {
        change: Change::EditDestination(id.clone(), new.clone()),
        undo: vec![Change::EditDestination(id.clone(), old.clone())],
        action: Action::Edit,
        service: id.clone(),
        before: Some(save::server_rule(id, old)),
        after: Some(save::server_rule(id, new)),
    }
}

fn delete_server(id: &ServiceId, server: &Destination) -> Step {
    Step {
        change: Change::DeleteDestination(id.clone(), server.id),
        undo: vec![Change::AddDestination(id.clone(), server.clone())],
        action: Action::Delete,
        service: id.clone(),
        before: Some(save::server_rule(id, server)),
        after: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::memory::Memory;
    use crate::desired;
    use crate::names::Fixed;
    use crate::restore;

    fn director(rules: &str) -> Memory {
        let mut director = Memory::default();
        for rule in restore::parse(rules, &Fixed).unwrap() {
            director.change(&rule.change).unwrap();
        }
        director
    }

    fn plan(current: &str, wanted: &str, prune: bool) -> (Memory, Plan) {
        let mut director = director(current);
        let current = director.table(false).unwrap();
        let plan = between(&current, &desired::read(wanted, &Fixed).unwrap(), prune);
        (director, plan)
    }

    const CURRENT: &str = "\
-A -t 10.0.0.1:80 -s wlc
-a -t 10.0.0.1:80 -r 10.0.0.2:80 -m -w 1
-a -t 10.0.0.1:80 -r 10.0.0.3:80 -m -w 1
-A -t 10.0.0.9:80 -s rr
";
    const WANTED: &str = "\
-A -t 10.0.0.1:80 -s rr
-a -t 10.0.0.1:80 -r 10.0.0.2:80 -m -w 5
-a -t 10.0.0.1:80 -r 10.0.0.4:80 -m -w 1
-A -f 7 -s rr
";

    #[test]
    fn the_same_table_needs_no_step() {
        let (_, plan) = plan(CURRENT, CURRENT, true);
        assert_eq!(plan, Plan::default());
    }

    #[test]
    fn capacity_comes_before_it_goes() {
        let (mut director, plan) = plan(CURRENT, WANTED, true);
        let steps: Vec<String> = plan.steps.iter().map(ToString::to_string).collect();
        assert_eq!(
            steps,
            [
                "~ -a -t 10.0.0.1:80 -r 10.0.0.2:80 -m -w 1\n  \
                 => -a -t 10.0.0.1:80 -r 10.0.0.2:80 -m -w 5",
                "+ -a -t 10.0.0.1:80 -r 10.0.0.4:80 -m -w 1",
                "~ -A -t 10.0.0.1:80 -s wlc\n  => -A -t 10.0.0.1:80 -s rr",
                "+ -A -f 7 -s rr",
                "- -a -t 10.0.0.1:80 -r 10.0.0.3:80 -m -w 1",
                "- -A -t 10.0.0.9:80 -s rr",
            ]
        );
        assert_eq!(plan.count(Action::Add), 2);
        assert_eq!(plan.count(Action::Edit), 2);
        assert_eq!(plan.count(Action::Delete), 2);
        carry_out(&plan, &mut director).unwrap();
        let current = director.table(false).unwrap();
        let wanted = desired::read(WANTED, &Fixed).unwrap();
        assert!(between(&current, &wanted, true).steps.is_empty());
    }

    #[test]
    fn services_that_the_file_does_not_have_stay_without_prune() {
        let (mut director, plan) = plan(CURRENT, WANTED, false);
        assert_eq!(plan.left_alone, 1);
        assert_eq!(plan.count(Action::Delete), 1);
        carry_out(&plan, &mut director).unwrap();
        assert_eq!(director.services().unwrap().len(), 3);
    }

    #[test]
    fn a_refused_step_undoes_the_steps_before_it() {
        // The director in memory has no such scheduler.
        let wanted = format!("{WANTED}-A -f 8 -s nope\n");
        let (mut director, plan) = plan(CURRENT, &wanted, true);
        let before = director.table(false).unwrap();
        let error = carry_out(&plan, &mut director).unwrap_err().to_string();
        assert!(error.contains("no scheduler \"nope\""), "{error}");
        assert!(error.ends_with("; nothing was changed"), "{error}");
        let mut after = director.table(false).unwrap();
        after.sort_by_key(|group| group.service.service.id.to_string());
        let mut wanted = before;
        wanted.sort_by_key(|group| group.service.service.id.to_string());
        assert_eq!(after, wanted);
    }
}
