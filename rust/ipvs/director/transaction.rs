// SPDX-License-Identifier: GPL-2.0-only

//! Transactions: many changes of services and destinations, all of which are made, or none.
//!
//! Changes are staged in drafts, which packets do not see. A change that the director would refuse
//! after the changes before it is refused while it is staged. [`Transaction::run`] then allocates
//! all memory, and from there on nothing can fail. Packets may see the changes of one service
//! before those of another, but each service as a whole.
//!
//! Servers that stay keep their connections, and so do those that are deleted and added again.

use super::{Config, Director, Working};
use crate::{
    services::{
        deleted::Reservation,
        destination::{self, Destination},
        filter::Counted,
        scheduler::{Bound, Change},
        service::{self, is_stateless, Key, Prospect, Service},
    },
    state::tables::Tables,
};
use kernel::{alloc::KVVec, prelude::*, rbtree::RBTree, sync::Arc};
use lvs_core::{service::SchedulerName, Endpoint};

/// Changes that are staged. The configuration mutex is held.
pub struct Transaction<'a> {
    director: &'a Director,
    config: &'a mut Config,
    drafts: RBTree<Key, Draft>,
    /// The number of services that were added.
    places: u32,
}

/// A service, and its changes.
struct Draft {
    /// The service that there is.
    present: Option<Arc<Service>>,
    /// The settings that there will be; none if a change deletes the service.
    future: Option<Future>,
    /// A change deletes the service.
    goes: bool,
}

struct Future {
    settings: service::Settings,
    /// None: that of the present service.
    scheduler: Option<Bound>,
    /// None: those of the present service.
    destinations: Option<Destinations>,
    /// The place among the services that are added.
    place: u32,
    /// It was deleted and added again: its counters start at zero.
    again: bool,
}

/// A list of destinations that changes.
struct Destinations {
    former: KVVec<Arc<Destination>>,
    list: KVVec<Member>,
    /// The difference, if it is one change.
    change: Option<Change>,
    changes: usize,
}

struct Member {
    server: Arc<Destination>,
    settings: destination::Settings,
    origin: Origin,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// It was in the list.
    Stays,
    /// It was in the list, was deleted and added again.
    Again,
    /// It comes back with its connections.
    Returns,
    /// It is new.
    New,
}

impl Destinations {
    fn new(former: KVVec<Arc<Destination>>) -> Self {
        Self {
            former,
            list: KVVec::new(),
            change: None,
            changes: 0,
        }
    }

    /// All of the former ones stay.
    fn unchanged(former: KVVec<Arc<Destination>>) -> Result<Self> {
        let mut list = KVVec::with_capacity(former.len(), GFP_KERNEL)?;
        for server in &former {
            let member = Member {
                server: server.clone(),
                settings: server.settings(),
                origin: Origin::Stays,
            };
            list.push(member, GFP_KERNEL)?;
        }
        Ok(Self {
            list,
            ..Self::new(former)
        })
    }

    fn position(&self, endpoint: Endpoint) -> Option<usize> {
        self.list
            .iter()
            .position(|member| member.server.endpoint == endpoint)
    }

    fn note(&mut self, change: Change) {
        self.change = Some(change).filter(|_| self.changes == 0);
        self.changes = self.changes.saturating_add(1);
    }

    /// The new list, and how it differs.
    fn result(&self) -> Result<(KVVec<Arc<Destination>>, Change)> {
        let mut destinations = KVVec::with_capacity(self.list.len(), GFP_KERNEL_ACCOUNT)?;
        for member in &self.list {
            destinations.push(member.server.clone(), GFP_KERNEL_ACCOUNT)?;
        }
        Ok((destinations, self.change.unwrap_or(Change::Reset)))
    }

    /// The former destinations that are not in the new list.
    fn gone(&self) -> Result<KVVec<Arc<Destination>>> {
        let mut gone = KVVec::new();
        let known = |member: &&Member| matches!(member.origin, Origin::Stays | Origin::Again);
        if self.list.iter().filter(known).count() < self.former.len() {
            for server in &self.former {
                let same = |member: &Member| Arc::ptr_eq(&member.server, server);
                if !self.list.iter().any(same) {
                    gone.push(server.clone(), GFP_KERNEL)?;
                }
            }
        }
        Ok(gone)
    }
}

impl Draft {
    fn future(&mut self) -> Result<&mut Future> {
        self.future.as_mut().ok_or(ESRCH)
    }

    fn destinations(&mut self) -> Result<&mut Destinations> {
        let future = self.future.as_mut().ok_or(ESRCH)?;
        if future.destinations.is_none() {
            let former = match &self.present {
                Some(service) => service.destinations()?,
                None => KVVec::new(),
            };
            future.destinations = Some(Destinations::unchanged(former)?);
        }
        future.destinations.as_mut().ok_or(EINVAL)
    }

    /// True if the service would have no connection entries.
    fn is_stateless(&self) -> bool {
        self.would_be_stateless(None, None)
    }

    /// The same with these settings, and this scheduler.
    fn would_be_stateless(
        &self,
        settings: Option<&service::Settings>,
        scheduler: Option<&Bound>,
    ) -> bool {
        let Some(future) = &self.future else {
            return false;
        };
        let settings = settings.unwrap_or(&future.settings);
        match (scheduler.or(future.scheduler.as_ref()), &self.present) {
            (Some(scheduler), _) => is_stateless(settings, scheduler),
            (None, Some(service)) => service.would_be_stateless(settings, None),
            (None, None) => false,
        }
    }

    fn scheduler_name(&self) -> Option<SchedulerName> {
        match (&self.future.as_ref()?.scheduler, &self.present) {
            (Some(bound), _) => Some(bound.name),
            (None, Some(service)) => service.scheduler_name(),
            (None, None) => None,
        }
    }
}

impl Transaction<'_> {
    /// Has `stage` stage changes, then makes all of them. If `stage` refuses, or there is no
    /// memory, none is made. The modules of schedulers must be loaded. Process context.
    pub fn run<E: From<Error>>(
        director: &Director,
        stage: impl FnOnce(&mut Transaction<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut config = director.config.lock();
        let mut transaction = Transaction {
            director,
            config: &mut config,
            drafts: RBTree::new(),
            places: 0,
        };
        stage(&mut transaction)?;
        Ok(transaction.commit()?)
    }

    fn draft(&mut self, key: &Key) -> Result<&mut Draft> {
        if self.drafts.get(key).is_none() {
            let present = self.config.find(key).ok();
            let future = present.as_ref().map(|service| Future {
                settings: service.all_settings(),
                scheduler: None,
                destinations: None,
                place: 0,
                again: false,
            });
            let draft = Draft {
                present,
                future,
                goes: false,
            };
            self.drafts.try_create_and_insert(*key, draft, GFP_KERNEL)?;
        }
        self.drafts.get_mut(key).ok_or(EINVAL)
    }

    /// [`ESRCH`]: there is no such service.
    pub fn find_service(&mut self, key: &Key) -> Result {
        self.draft(key)?.future().map(|_| ())
    }

    /// Whether a service has a destination. [`ESRCH`]: there is no such service.
    pub fn has_destination(&mut self, key: &Key, endpoint: Endpoint) -> Result<bool> {
        Ok(self
            .draft(key)?
            .destinations()?
            .position(endpoint)
            .is_some())
    }

    /// See [`Director::add_service`].
    pub fn add_service<E: From<Error>>(
        &mut self,
        key: Key,
        scheduler: SchedulerName,
        settings: impl FnOnce() -> Result<service::Settings, E>,
    ) -> Result<(), E> {
        if self.draft(&key)?.future.is_some() {
            return Err(EEXIST.into());
        }
        let scheduler = Bound::find(scheduler)?;
        let settings = settings()?;
        self.config.work(self.director, key.family())?;
        if is_stateless(&settings, &scheduler) && !settings.allow_stateless() {
            return Err(EPERM.into());
        }
        self.places = self.places.wrapping_add(1);
        let place = self.places;
        let draft = self.draft(&key)?;
        let destinations = match &draft.present {
            Some(service) => Some(Destinations::new(service.destinations()?)),
            None => None,
        };
        draft.goes = false;
        draft.future = Some(Future {
            settings,
            scheduler: Some(scheduler),
            destinations,
            place,
            again: draft.present.is_some(),
        });
        Ok(())
    }

    /// See [`Director::edit_service`].
    pub fn edit_service<E: From<Error>>(
        &mut self,
        key: &Key,
        settings: impl FnOnce(service::Settings) -> Result<service::Settings, E>,
        scheduler: SchedulerName,
    ) -> Result<(), E> {
        let draft = self.draft(key)?;
        let present = draft.future()?.settings;
        let bound = match draft.scheduler_name() == Some(scheduler) {
            true => None,
            false => Some(Bound::find(scheduler)?),
        };
        let settings = settings(present)?;
        if draft.would_be_stateless(Some(&settings), bound.as_ref()) {
            let mut members = draft.destinations()?.list.iter();
            if !settings.allow_stateless() || !members.all(|m| m.settings.allow_stateless()) {
                return Err(EPERM.into());
            }
        }
        let future = draft.future()?;
        future.settings = settings;
        if bound.is_some() {
            future.scheduler = bound;
        }
        Ok(())
    }

    /// See [`Director::delete_service`].
    pub fn delete_service(&mut self, key: &Key) -> Result {
        let draft = self.draft(key)?;
        draft.future()?;
        draft.future = None;
        draft.goes = draft.present.is_some();
        Ok(())
    }

    /// See [`Director::add_destination`].
    pub fn add_destination(
        &mut self,
        key: &Key,
        endpoint: Endpoint,
        settings: &destination::Settings,
    ) -> Result {
        if self.has_destination(key, endpoint)? {
            return Err(EEXIST);
        }
        let config = &mut *self.config;
        config.may_have(key, endpoint)?;
        let tables = config
            .work(self.director, endpoint.address.family())?
            .tables
            .clone();
        // It stays if the transaction fails, and costs packets of this host a look.
        config.cover_destination(endpoint, settings)?;
        let draft = self.draft(key)?;
        if draft.is_stateless() && !settings.allow_stateless() {
            return Err(EPERM);
        }
        let destinations = draft.destinations()?;
        let same = |server: &&Arc<Destination>| server.endpoint == endpoint;
        let (server, origin) = match destinations.former.iter().find(same).cloned() {
            Some(server) => (server, Origin::Again),
            None => match tables.deleted.find(*key, endpoint) {
                Some(server) => (server, Origin::Returns),
                None => {
                    let filter = tables.filter.clone();
                    let counted = Counted::new(filter, key.address(), Some(endpoint.address));
                    let server = Destination::new(*key, endpoint, settings, counted)?;
                    (Arc::new(server, GFP_KERNEL_ACCOUNT)?, Origin::New)
                }
            },
        };
        let index = destinations.list.len();
        let member = Member {
            server,
            settings: *settings,
            origin,
        };
        destinations.list.push(member, GFP_KERNEL)?;
        destinations.note(Change::Added(index));
        Ok(())
    }

    /// See [`Director::edit_destination`].
    pub fn edit_destination(
        &mut self,
        key: &Key,
        endpoint: Endpoint,
        settings: &destination::Settings,
    ) -> Result {
        self.config.may_have(key, endpoint)?;
        self.config.cover_destination(endpoint, settings)?;
        let draft = self.draft(key)?;
        let index = draft.destinations()?.position(endpoint).ok_or(ENOENT)?;
        if draft.is_stateless() && !settings.allow_stateless() {
            return Err(EPERM);
        }
        let destinations = draft.destinations()?;
        destinations.list.get_mut(index).ok_or(ENOENT)?.settings = *settings;
        destinations.note(Change::Edited(index));
        Ok(())
    }

    /// See [`Director::delete_destination`].
    pub fn delete_destination(&mut self, key: &Key, endpoint: Endpoint) -> Result {
        let destinations = self.draft(key)?.destinations()?;
        let index = destinations.position(endpoint).ok_or(ENOENT)?;
        destinations.list.remove(index).map_err(|_| EINVAL)?;
        destinations.note(Change::Removed(index));
        Ok(())
    }

    fn commit(mut self) -> Result {
        let Some(Working { tables, .. }) = &self.config.working else {
            return Ok(());
        };
        let tables = tables.clone();
        let plan = self.plan(&tables)?;
        plan.carry_out(self.config, &tables);
        Ok(())
    }

    /// Allocates all that the changes take.
    fn plan(&mut self, tables: &Tables) -> Result<Plan> {
        let (mut edits, mut deletions) = (KVVec::new(), KVVec::new());
        let mut added: KVVec<(u32, Arc<Service>)> = KVVec::new();
        let mut kept = 0usize;
        for (key, draft) in self.drafts.iter_mut() {
            let Some(mut future) = draft.future.take() else {
                if let Some(service) = draft.present.clone().filter(|_| draft.goes) {
                    let destinations = service.destinations()?;
                    kept = kept.wrapping_add(destinations.len());
                    deletions.push(
                        Deletion {
                            service,
                            destinations,
                        },
                        GFP_KERNEL,
                    )?;
                }
                continue;
            };
            let service = match &draft.present {
                Some(service) => service.clone(),
                None => {
                    let scheduler = future.scheduler.take().ok_or(EINVAL)?;
                    let counted = Counted::new(tables.filter.clone(), key.address(), None);
                    let service = Service::new(*key, &future.settings, scheduler, counted)?;
                    added.push((future.place, service.clone()), GFP_KERNEL)?;
                    service
                }
            };
            let (destinations, change) = match &future.destinations {
                Some(destinations) => {
                    let (destinations, change) = destinations.result()?;
                    (Some(destinations), change)
                }
                None => (None, Change::Reset),
            };
            let prospect =
                service.prepare(future.settings, future.scheduler, destinations, change)?;
            let (members, gone) = match future.destinations {
                Some(destinations) => {
                    let gone = destinations.gone()?;
                    (destinations.list, gone)
                }
                None => (KVVec::new(), KVVec::new()),
            };
            kept = kept.wrapping_add(gone.len());
            let edit = Edit {
                service,
                prospect,
                members,
                gone,
                again: future.again,
            };
            edits.push(edit, GFP_KERNEL)?;
        }
        let mut services = None;
        if !added.is_empty() || !deletions.is_empty() {
            let most = self.config.services.len().saturating_add(added.len());
            let mut list = KVVec::with_capacity(most, GFP_KERNEL)?;
            for service in &self.config.services {
                if !self
                    .drafts
                    .get(&service.key)
                    .is_some_and(|draft| draft.goes)
                {
                    list.push(service.clone(), GFP_KERNEL)?;
                }
            }
            added.sort_unstable_by_key(|(place, _)| *place);
            for (_, service) in added {
                list.push(service, GFP_KERNEL)?;
            }
            services = Some((tables.services.prepare(&list)?, list));
        }
        Ok(Plan {
            edits,
            deletions,
            services,
            reservation: Reservation::new(kept)?,
        })
    }
}

/// Changes that are ready to be made.
struct Plan {
    edits: KVVec<Edit>,
    deletions: KVVec<Deletion>,
    /// All services and their index, if services come or go.
    services: Option<(crate::services::index::PreparedIndex, KVVec<Arc<Service>>)>,
    /// For the destinations that go.
    reservation: Reservation,
}

/// A service that changes, or is new.
struct Edit {
    service: Arc<Service>,
    prospect: Prospect,
    members: KVVec<Member>,
    gone: KVVec<Arc<Destination>>,
    again: bool,
}

struct Deletion {
    service: Arc<Service>,
    destinations: KVVec<Arc<Destination>>,
}

impl Plan {
    /// Makes the changes, which cannot fail.
    fn carry_out(mut self, config: &mut Config, tables: &Tables) {
        let mut any_gone = !self.deletions.is_empty();
        for edit in self.edits {
            any_gone |= !edit.gone.is_empty();
            edit.carry_out(config, tables, &mut self.reservation);
        }
        if let Some((index, services)) = self.services {
            tables.services.take(index);
            config.services = services;
        }
        for Deletion {
            service,
            destinations,
        } in self.deletions
        {
            config.past.add(&service.traffic().totals);
            service.retire();
            tables.deleted.lose_service(service.key);
            for server in destinations {
                config.past_by_cpu.add(&server.statistics.live);
                tables
                    .deleted
                    .keep(service.key, server, &mut self.reservation);
            }
        }
        if any_gone {
            tables.destinations_deleted();
        }
    }
}

impl Edit {
    fn carry_out(self, config: &mut Config, tables: &Tables, reservation: &mut Reservation) {
        let service = self.service;
        for Member {
            server,
            settings,
            origin,
        } in self.members
        {
            if origin == Origin::Returns {
                // None if its last connection ended meanwhile.
                let _ = tables.deleted.take(service.key, server.endpoint);
            }
            if settings != server.settings() {
                server.set(&settings);
            }
            if matches!(origin, Origin::Returns | Origin::Again) {
                server.statistics.zero();
            }
            if origin == Origin::Returns {
                config.past_by_cpu.subtract(&server.statistics.live);
            }
            if origin != Origin::Stays {
                // Before packets can choose it.
                server.attach();
            }
        }
        service.take(self.prospect);
        for server in self.gone {
            service.leave(&server);
            config.past_by_cpu.add(&server.statistics.live);
            tables.deleted.keep(service.key, server, reservation);
        }
        if self.again {
            config.past.add(&service.traffic().totals);
            service.zero();
        }
    }
}
