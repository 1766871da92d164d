// SPDX-License-Identifier: GPL-2.0-only

//! A model of cached routes (`rust/knet/helpers/route.c`): several CPUs fill one cache and drop its
//! route at the same time. Each route is released exactly once, unless it is cached, and the
//! cookie in the cache belongs to the route in it.
//!
//! The code is in C, so this model follows it step by step. Change both together.

use super::explore;
use loom::{
    sync::{
        atomic::{fence, AtomicUsize},
        Arc,
    },
    thread,
};
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

const EMPTY: usize = 0;
/// `KNET_FILLING`. Greater words are routes.
const FILLING: usize = 1;
const FIRST: usize = 2;
const SECOND: usize = 3;
const THIRD: usize = 4;

struct Cache {
    route: AtomicUsize,
    cookie: AtomicUsize,
    references: [AtomicUsize; THIRD + 1],
}

fn is_route(word: usize) -> bool {
    word > FILLING
}

impl Cache {
    /// A cache with the first route in it.
    fn new() -> Arc<Self> {
        let cache = Self {
            route: AtomicUsize::new(EMPTY),
            cookie: AtomicUsize::new(EMPTY),
            references: std::array::from_fn(|_| AtomicUsize::new(0)),
        };
        cache.refresh(FIRST);
        Arc::new(cache)
    }

    fn release(&self, route: usize) {
        let former = self.references[route].fetch_sub(1, AcqRel);
        assert_eq!(former, 1, "a reference is released twice");
    }

    /// `knet_refresh()`, by a CPU that looked up this route.
    fn refresh(&self, route: usize) {
        self.references[route].fetch_add(1, AcqRel);
        let old = self.route.swap(FILLING, AcqRel);
        if old == FILLING {
            // The CPU keeps its own route until the packet is sent.
            self.release(route);
            return;
        }
        // xchg() is a full memory barrier.
        fence(Release);
        self.cookie.store(route, Relaxed);
        // A store in C. loom does not order a store after another thread's exchange, even if that
        // exchange has read an earlier store of this thread. It does order exchanges.
        self.route.swap(route, Release);
        if is_route(old) {
            self.release(old);
        }
    }

    /// `knet_route_forget()`.
    fn forget(&self) {
        let mut route = self.route.load(Relaxed);
        while is_route(route) {
            match self.route.compare_exchange(route, EMPTY, AcqRel, Relaxed) {
                Ok(_) => return self.release(route),
                Err(found) => route = found,
            }
        }
    }

    /// A wrong version: it overwrites the mark of a CPU that is filling the cache.
    fn forget_even_the_mark(&self) {
        let route = self.route.swap(EMPTY, AcqRel);
        if is_route(route) {
            self.release(route);
        }
    }

    /// `knet_cached()`: the route and its cookie.
    fn read(&self) -> Option<(usize, usize)> {
        let route = self.route.load(Acquire);
        if !is_route(route) {
            return None;
        }
        let cookie = self.cookie.load(Relaxed);
        fence(Acquire);
        (self.route.load(Relaxed) == route).then_some((route, cookie))
    }

    /// Checks the cache after all CPUs have finished.
    fn check(&self) {
        let cached = self.route.load(Acquire);
        assert_ne!(cached, FILLING, "the mark stays");
        for route in FIRST..=THIRD {
            let expected = usize::from(route == cached);
            let references = self.references[route].load(Acquire);
            assert_eq!(references, expected, "references of route {route} are lost");
        }
        if is_route(cached) {
            assert_eq!(
                self.cookie.load(Acquire),
                cached,
                "the cookie of another route"
            );
        }
    }
}

/// Runs each of `works` in a new thread.
fn at_once(works: &'static [fn(&Cache)]) {
    explore(Some(3), 10, move || {
        let cache = Cache::new();
        let threads: Vec<_> = works
            .iter()
            .map(|work| {
                let cache = cache.clone();
                thread::spawn(move || work(&cache))
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        cache.check();
    });
}

#[test]
fn cpus_that_fill_a_cache_at_once_lose_no_reference() {
    at_once(&[|cache| cache.refresh(SECOND), |cache| cache.refresh(THIRD)]);
}

#[test]
fn dropping_a_route_while_cpus_fill_the_cache_loses_no_reference() {
    at_once(&[
        |cache| cache.refresh(SECOND),
        |cache| cache.refresh(THIRD),
        Cache::forget,
    ]);
}

#[test]
#[should_panic(expected = "are lost")]
fn writing_over_the_mark_loses_a_reference() {
    at_once(&[
        |cache| cache.refresh(SECOND),
        |cache| cache.refresh(THIRD),
        Cache::forget_even_the_mark,
    ]);
}

#[test]
fn readers_never_see_the_cookie_of_another_route() {
    at_once(&[
        |cache| cache.refresh(SECOND),
        |cache| {
            if let Some((route, cookie)) = cache.read() {
                assert_eq!(cookie, route, "the cookie of another route");
            }
        },
    ]);
}
