// SPDX-License-Identifier: GPL-2.0-only

//! The index by which packets find their virtual service: a hash whose buckets are copied on
//! change. It doubles when there are more services than buckets, so the time that a lookup takes
//! does not depend on the number of services.

use crate::services::service::{Key, Service};
use core::sync::atomic::{AtomicU32, Ordering};
use kernel::{
    alloc::{KVVec, KVec},
    prelude::*,
    sync::Arc,
};
use knet::rcu::{Boxed, Cell, Section};
use lvs_core::{
    hash::{flow_hash, HashKey},
    Endpoint, Family, Protocol,
};

/// The number of buckets at first, a power of two.
const MIN_BUCKETS: usize = 64;

/// The services whose keys have the same hash, modulo the number of buckets.
type Bucket = Cell<KVec<Arc<Service>>>;

/// The buckets; their number is a power of two.
struct Buckets(KVVec<Bucket>);

impl Buckets {
    /// Empty buckets. Process context.
    fn new(number: usize) -> Result<Self> {
        let mut buckets = KVVec::with_capacity(number, GFP_KERNEL_ACCOUNT)?;
        for _ in 0..number {
            buckets.push(Cell::empty(), GFP_KERNEL_ACCOUNT)?;
        }
        Ok(Self(buckets))
    }

    /// Twice as many buckets with the same services. Process context.
    fn doubled(&self, hash: impl Fn(&Key) -> u32) -> Result<Self> {
        let number = self.0.len();
        let doubled = Self::new(number.checked_mul(2).ok_or(EOVERFLOW)?)?;
        for (index, bucket) in self.0.iter().enumerate() {
            for half in [index, index.wrapping_add(number)] {
                let is_there = |service: &Service| {
                    hash(&service.key) as usize & number.wrapping_mul(2).wrapping_sub(1) == half
                };
                let services = copy(bucket, 0, is_there)?;
                if let Some(cell) = doubled.0.get(half).filter(|_| !services.is_empty()) {
                    cell.replace(Some(Boxed::new(services, GFP_KERNEL_ACCOUNT)?));
                }
            }
        }
        Ok(doubled)
    }

    #[inline]
    fn of(&self, hash: u32) -> Option<&Bucket> {
        let mask = self.0.len().wrapping_sub(1);
        self.0.get(hash as usize & mask)
    }
}

/// The services in `bucket` that are `wanted`, with room for `more`. Process context. The bucket
/// must not change meanwhile: the configuration mutex is held.
fn copy(
    bucket: &Bucket,
    more: usize,
    wanted: impl Fn(&Service) -> bool,
) -> Result<KVec<Arc<Service>>> {
    let len = knet::rcu::read(|section| bucket.get(section).map_or(0, KVec::len));
    let mut copy = KVec::with_capacity(len.saturating_add(more), GFP_KERNEL_ACCOUNT)?;
    knet::rcu::read(|section| {
        let services = bucket.get(section).into_iter().flatten();
        for service in services.filter(|service| wanted(service)) {
            copy.push_within_capacity(service.clone())
                .map_err(|_| EAGAIN)?;
        }
        Ok(copy)
    })
}

/// A whole index, ready to take the place of the present one.
pub(crate) struct PreparedIndex {
    buckets: Boxed<Arc<Buckets>>,
    by_address: u32,
    by_mark: u32,
}

/// Finds services. Readers take no lock; changes are made with the configuration mutex held.
pub struct Index {
    buckets: Cell<Arc<Buckets>>,
    by_address: AtomicU32,
    by_mark: AtomicU32,
    hash: HashKey,
}

impl Index {
    /// An empty index. Process context.
    pub fn new(hash: HashKey) -> Result<Self> {
        let buckets = Arc::new(Buckets::new(MIN_BUCKETS)?, GFP_KERNEL_ACCOUNT)?;
        Ok(Self {
            buckets: Cell::new(Boxed::new(buckets, GFP_KERNEL_ACCOUNT)?),
            by_address: AtomicU32::new(0),
            by_mark: AtomicU32::new(0),
            hash,
        })
    }

    /// The service that a packet belongs to: that of its mark, else that of its destination and
    /// port, else that of its destination alone. Any context.
    pub fn for_packet<'a>(
        &'a self,
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
        let buckets = self.buckets.get(section)?;
        buckets
            .of(self.hash_of(key))?
            .get(section)?
            .iter()
            .find(|service| service.key == *key)
    }

    /// The number of buckets. Process context.
    pub fn size(&self) -> u32 {
        knet::rcu::read(|section| {
            let buckets = self.buckets.get(section);
            buckets.map_or(0, |buckets| u32::try_from(buckets.0.len()).unwrap_or(0))
        })
    }

    /// Calls `f` with the number of services in each bucket. Process context.
    pub fn lengths(&self, mut f: impl FnMut(usize)) {
        knet::rcu::read(|section| {
            for bucket in self
                .buckets
                .get(section)
                .iter()
                .flat_map(|buckets| buckets.0.iter())
            {
                f(bucket.get(section).map_or(0, KVec::len));
            }
        });
    }

    fn hash_of(&self, key: &Key) -> u32 {
        let (protocol, endpoint) = key.identity();
        let protocol = protocol.map_or(0, |protocol| protocol as u8);
        flow_hash(&self.hash, key.family(), protocol, endpoint)
    }

    fn counter(&self, key: &Key) -> &AtomicU32 {
        match key {
            Key::Address { .. } => &self.by_address,
            Key::Mark { .. } => &self.by_mark,
        }
    }

    /// The number of services.
    fn count(&self) -> usize {
        let by_mark = self.by_mark.load(Ordering::Relaxed);
        self.by_address
            .load(Ordering::Relaxed)
            .wrapping_add(by_mark) as usize
    }

    /// The present buckets, which stay as long as the result. Process context.
    fn buckets(&self) -> Option<Arc<Buckets>> {
        knet::rcu::read(|section| self.buckets.get(section).cloned())
    }

    /// Calls `f` for each service. Process context; other work gets its turn in between.
    pub fn for_each(&self, mut f: impl FnMut(&Service, &Section<'_>)) {
        let Some(buckets) = self.buckets() else {
            return;
        };
        for bucket in buckets.0.iter().filter(|bucket| !bucket.is_empty()) {
            knet::rcu::read(|section| {
                for service in bucket.get(section).into_iter().flatten() {
                    f(service, section);
                }
            });
            knet::work::yield_now();
        }
    }

    /// Adds `service`, whose key must not be in the index yet.
    pub fn insert(&self, service: &Arc<Service>) -> Result {
        self.rebuild(&service.key, Some(service))?;
        self.counter(&service.key).fetch_add(1, Ordering::Relaxed);
        // Without memory it stays as it is; lookups take longer until the next service is added.
        let _ = self.grow();
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
        if let Some(buckets) = self.buckets() {
            for bucket in &buckets.0 {
                bucket.replace(None);
            }
        }
        self.by_address.store(0, Ordering::Relaxed);
        self.by_mark.store(0, Ordering::Relaxed);
    }

    /// Prepares the index of exactly these services. Process context.
    pub(crate) fn prepare(&self, services: &[Arc<Service>]) -> Result<PreparedIndex> {
        let present = self.buckets().ok_or(EINVAL)?.0.len();
        let number = services
            .len()
            .max(present)
            .checked_next_power_of_two()
            .ok_or(EOVERFLOW)?;
        let mut lists = KVVec::with_capacity(number, GFP_KERNEL)?;
        for _ in 0..number {
            lists.push(KVec::new(), GFP_KERNEL)?;
        }
        let mask = number.wrapping_sub(1);
        let (mut by_address, mut by_mark) = (0u32, 0u32);
        for service in services {
            let hash = self.hash_of(&service.key) as usize;
            let list = lists.get_mut(hash & mask).ok_or(EINVAL)?;
            list.push(service.clone(), GFP_KERNEL_ACCOUNT)?;
            let counter = match service.key {
                Key::Address { .. } => &mut by_address,
                Key::Mark { .. } => &mut by_mark,
            };
            *counter = counter.wrapping_add(1);
        }
        let buckets = Buckets::new(number)?;
        for (bucket, list) in buckets.0.iter().zip(lists) {
            if !list.is_empty() {
                bucket.replace(Some(Boxed::new(list, GFP_KERNEL_ACCOUNT)?));
            }
        }
        let buckets = Arc::new(buckets, GFP_KERNEL_ACCOUNT)?;
        Ok(PreparedIndex {
            buckets: Boxed::new(buckets, GFP_KERNEL_ACCOUNT)?,
            by_address,
            by_mark,
        })
    }

    /// Makes `prepared` the index. Waits for RCU. Process context.
    pub(crate) fn take(&self, prepared: PreparedIndex) {
        let former = self.buckets();
        self.buckets.replace(Some(prepared.buckets));
        self.by_address
            .store(prepared.by_address, Ordering::Relaxed);
        self.by_mark.store(prepared.by_mark, Ordering::Relaxed);
        // As in `grow`: the former buckets must be dropped here.
        knet::rcu::barrier();
        drop(former);
    }

    /// Doubles the number of buckets if there are more services than that. Waits for RCU.
    fn grow(&self) -> Result {
        let buckets = self.buckets().ok_or(EINVAL)?;
        if self.count() > buckets.0.len() {
            let doubled = buckets.doubled(|key| self.hash_of(key))?;
            let doubled = Arc::new(doubled, GFP_KERNEL_ACCOUNT)?;
            self.buckets
                .replace(Some(Boxed::new(doubled, GFP_KERNEL_ACCOUNT)?));
            // The former buckets leave their contents to RCU when they are dropped. So that this
            // happens here and not in a callback, for which unloading does not wait, `buckets` is
            // to be their last owner.
            knet::rcu::barrier();
        }
        Ok(())
    }

    /// Publishes the bucket of `key` anew, without the service that had the key, with `service`.
    fn rebuild(&self, key: &Key, service: Option<&Arc<Service>>) -> Result {
        let buckets = self.buckets().ok_or(EINVAL)?;
        let cell = buckets.of(self.hash_of(key)).ok_or(EINVAL)?;
        let mut bucket = copy(cell, 1, |other| other.key != *key)?;
        if let Some(service) = service {
            bucket
                .push_within_capacity(service.clone())
                .map_err(|_| EAGAIN)?;
        }
        let bucket = if bucket.is_empty() {
            None
        } else {
            Some(Boxed::new(bucket, GFP_KERNEL_ACCOUNT)?)
        };
        cell.replace(bucket);
        Ok(())
    }
}
