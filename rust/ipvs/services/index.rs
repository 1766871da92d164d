// SPDX-License-Identifier: GPL-2.0-only

//! The index by which packets find their virtual service.

use crate::services::service::{Key, Service};
use core::sync::atomic::{AtomicU32, Ordering};
use kernel::{alloc::KVec, prelude::*, sync::Arc};
use knet::rcu::{Boxed, Cell, Section};
use lvs_core::{
    hash::{flow_hash, HashKey},
    Endpoint, Family, Protocol,
};

/// Fixed: ten thousand services are about forty in each bucket.
const BUCKETS: usize = 256;

/// Finds services. Readers take no lock; changes are made with the configuration mutex held.
pub struct Index {
    buckets: KVec<Cell<KVec<Arc<Service>>>>,
    by_address: AtomicU32,
    by_mark: AtomicU32,
    hash: HashKey,
}

impl Index {
    /// An empty index. Process context.
    pub fn new(hash: HashKey) -> Result<Self> {
        let mut buckets = KVec::with_capacity(BUCKETS, GFP_KERNEL)?;
        for _ in 0..BUCKETS {
            buckets.push(Cell::empty(), GFP_KERNEL)?;
        }
        Ok(Self {
            buckets,
            by_address: AtomicU32::new(0),
            by_mark: AtomicU32::new(0),
            hash,
        })
    }

    /// The service that a packet belongs to: that of its mark, else that of its destination and
    /// port, else that of its destination alone. Any context.
    pub fn for_packet<'a>(
        &self,
        section: &'a Section<'_>,
        mark: u32,
        family: Family,
        protocol: Protocol,
        endpoint: Endpoint,
    ) -> Option<&'a Arc<Service>> {
        if mark != 0 && self.by_mark.load(Ordering::Relaxed) != 0 {
            if let Some(service) = self.find(section, &Key::Mark { mark, family }) {
                return Some(service);
            }
        }
        if self.by_address.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let on = |port| Key::Address {
            protocol,
            endpoint: Endpoint::new(endpoint.address, port),
        };
        self.find(section, &on(endpoint.port))
            .or_else(|| self.find(section, &on(0)))
    }

    /// The service with exactly this key. Any context.
    pub fn find<'a>(&self, section: &'a Section<'_>, key: &Key) -> Option<&'a Arc<Service>> {
        self.bucket(key)?
            .get(section)?
            .iter()
            .find(|service| service.key == *key)
    }

    fn bucket(&self, key: &Key) -> Option<&Cell<KVec<Arc<Service>>>> {
        let (protocol, endpoint) = key.identity();
        let protocol = protocol.map_or(0, |protocol| protocol as u8);
        let hash = flow_hash(&self.hash, key.family(), protocol, endpoint);
        self.buckets.get(hash as usize % BUCKETS)
    }

    fn counter(&self, key: &Key) -> &AtomicU32 {
        match key {
            Key::Address { .. } => &self.by_address,
            Key::Mark { .. } => &self.by_mark,
        }
    }

    /// Calls `f` for each service. Process context; yields to other work in between.
    pub fn for_each(&self, mut f: impl FnMut(&Service, &Section<'_>)) {
        for bucket in &self.buckets {
            if bucket.is_empty() {
                continue;
            }
            knet::rcu::read(|section| {
                for service in bucket.get(section).into_iter().flatten() {
                    f(service, section);
                }
            });
            knet::work::yield_now();
        }
    }

    /// Adds `service`, whose key must not be in use.
    pub fn insert(&self, service: &Arc<Service>) -> Result {
        self.rebuild(&service.key, Some(service))?;
        self.counter(&service.key).fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Removes the service with this key.
    pub fn remove(&self, key: &Key) -> Result {
        self.rebuild(key, None)?;
        self.counter(key).fetch_sub(1, Ordering::Relaxed);
        Ok(())
    }

    /// Removes all services.
    pub fn clear(&self) {
        for bucket in &self.buckets {
            bucket.replace(None);
        }
        self.by_address.store(0, Ordering::Relaxed);
        self.by_mark.store(0, Ordering::Relaxed);
    }

    /// Publishes a new bucket for `key`, without the service of that key, and with `service`.
    fn rebuild(&self, key: &Key, service: Option<&Arc<Service>>) -> Result {
        let cell = self.bucket(key).ok_or(EINVAL)?;
        let len = knet::rcu::read(|section| cell.get(section).map_or(0, KVec::len));
        let mut bucket = KVec::with_capacity(len.saturating_add(1), GFP_KERNEL_ACCOUNT)?;
        knet::rcu::read(|section| {
            let old = cell.get(section).map_or(&[][..], |services| services);
            let others = old.iter().filter(|other| other.key != *key);
            for other in Iterator::chain(others, service) {
                bucket
                    .push_within_capacity(other.clone())
                    .map_err(|_| EAGAIN)?;
            }
            Ok::<(), Error>(())
        })?;
        let bucket = if bucket.is_empty() {
            None
        } else {
            Some(Boxed::new(bucket, GFP_KERNEL)?)
        };
        cell.replace(bucket);
        Ok(())
    }
}
