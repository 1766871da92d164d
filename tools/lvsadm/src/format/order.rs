// SPDX-License-Identifier: GPL-2.0-only

//! The order of a sorted listing, which is ipvsadm's to the entry.
//!
//! ipvsadm compares marks and addresses by the sign of their 32-bit difference. That is no order of
//! the whole range: values more than half of it apart swap (192.168.0.1 stands before 10.0.0.1),
//! and there can be cycles. So the sorting method shows too; it is the merge sort of the C library,
//! done here because the standard library's sorts want a total order.

use std::cmp::Ordering;
use std::mem;
use std::net::IpAddr;

use crate::model::{DestinationEntry, Family, ServiceEntry, ServiceId};

/// The sign of the wrapping difference.
fn difference(left: u32, right: u32) -> Ordering {
    i32::from_ne_bytes(left.wrapping_sub(right).to_ne_bytes()).cmp(&0)
}

/// An address in four words, IPv4 in the first.
fn words(address: &IpAddr) -> [u32; 4] {
    match address {
        IpAddr::V4(address) => [address.to_bits(), 0, 0, 0],
        IpAddr::V6(address) => {
            let bits = address.to_bits();
            [96_u32, 64, 32, 0].map(|shift| {
                let [.., a, b, c, d] = (bits >> shift).to_be_bytes();
                u32::from_be_bytes([a, b, c, d])
            })
        }
    }
}

/// Compares as many words as the left address has.
fn addresses(left: &IpAddr, right: &IpAddr) -> Ordering {
    let count = match left {
        IpAddr::V4(_) => 1,
        IpAddr::V6(_) => 4,
    };
    words(left)
        .into_iter()
        .zip(words(right))
        .take(count)
        .map(|(left, right)| difference(left, right))
        .find(|ordering| ordering.is_ne())
        .unwrap_or(Ordering::Equal)
}

fn family_rank(id: &ServiceId) -> u8 {
    match id.family() {
        Family::Inet => 2,
        Family::Inet6 => 10,
    }
}

/// Services: by mark (none first), family, protocol, address, port.
#[must_use]
pub fn services(left: &ServiceEntry, right: &ServiceEntry) -> Ordering {
    let (left, right) = (&left.service.id, &right.service.id);
    let mark = |id: &ServiceId| match id {
        ServiceId::Mark { mark, .. } => *mark,
        ServiceId::Address { .. } => 0,
    };
    let protocol = |id: &ServiceId| id.protocol().map_or(0, u16::from);
    difference(mark(left), mark(right))
        .then_with(|| family_rank(left).cmp(&family_rank(right)))
        .then_with(|| protocol(left).cmp(&protocol(right)))
        .then_with(|| match (left, right) {
            (
                ServiceId::Address { address: left, .. },
                ServiceId::Address { address: right, .. },
            ) => addresses(left, right),
            _ => Ordering::Equal,
        })
        .then_with(|| left.port().cmp(&right.port()))
}

/// Destinations: by address and port.
#[must_use]
pub fn destinations(left: &DestinationEntry, right: &DestinationEntry) -> Ordering {
    let (left, right) = (&left.destination.id, &right.destination.id);
    addresses(&left.address, &right.address).then_with(|| left.port.cmp(&right.port))
}

/// Sorts by `merge_sort`, which moves only indexes: moving thousands of services would be slow.
pub fn sort<T>(items: &mut [T], compare: fn(&T, &T) -> Ordering) {
    let mut order: Vec<usize> = (0..items.len()).collect();
    merge_sort(
        &mut order,
        &|left, right| match (items.get(left), items.get(right)) {
            (Some(left), Some(right)) => compare(left, right),
            _ => Ordering::Equal,
        },
    );
    // Each place says which item comes there. So go round from place to place, until back at the
    // first.
    for first in 0..items.len() {
        let mut place = first;
        while let Some(from) = order.get_mut(place).map(|from| mem::replace(from, place)) {
            if from == first {
                break;
            }
            items.swap(place, from);
            place = from;
        }
    }
}

/// A top-down merge sort that halves downwards and prefers the left on ties.
fn merge_sort(items: &mut Vec<usize>, compare: &impl Fn(usize, usize) -> Ordering) {
    if items.len() < 2 {
        return;
    }
    let mut right = items.split_off(items.len() / 2);
    merge_sort(items, compare);
    merge_sort(&mut right, compare);
    let mut left = mem::take(items).into_iter().peekable();
    let mut right = right.into_iter().peekable();
    while let (Some(first), Some(second)) = (left.peek(), right.peek()) {
        let next = if compare(*first, *second).is_gt() {
            right.next()
        } else {
            left.next()
        };
        items.extend(next);
    }
    items.extend(left);
    items.extend(right);
}
