// SPDX-License-Identifier: GPL-2.0-only

//! `geo`: from a file with prefixes to the table that the kernel searches, and back.
//!
//! Belongs here: the file's grammar, its mistakes, nested prefixes made into ranges. Never: the
//! search and the checks of the kernel, which are in [`lvs_core::regions`].

use std::collections::HashMap;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Subnets, Ipv6Subnets};
use lvs_core::regions::{Regions, HEADER, MAGIC, MOST_OCTETS, MOST_REGIONS, NAME};

/// The distance of a server whose region is not in the client's order.
const UNLISTED: u8 = 254;
/// The distance of a server in no region.
const NOWHERE: u8 = 255;
/// How many mistakes are reported.
const MOST_MISTAKES: usize = 20;

/// A file, read.
#[derive(Debug, Default)]
struct File<'a> {
    /// The regions, each with its order and the number of its line.
    regions: Vec<(&'a str, Vec<&'a str>, usize)>,
    /// The prefixes, each with its region and the number of its line.
    prefixes: Vec<(IpNet, &'a str, usize)>,
    mistakes: Vec<String>,
}

impl<'a> File<'a> {
    fn read(text: &'a str) -> Self {
        let mut file = Self::default();
        for (line, number) in text.lines().zip(1..) {
            let line = line.split('#').next().unwrap_or_default();
            let mut words = line
                .split(|c: char| c == ',' || c.is_whitespace())
                .filter(|word| !word.is_empty());
            let Some(first) = words.next() else { continue };
            let rest: Vec<&str> = words.collect();
            let outcome = match (first, rest.as_slice()) {
                ("region", [name, order @ ..]) => file.add_region(name, order, number),
                ("region", []) => Err("the name of the region is missing".to_owned()),
                (prefix, [region]) => {
                    read_prefix(prefix).map(|prefix| file.prefixes.push((prefix, region, number)))
                }
                (_, []) => Err(format!("{first}: the region is missing")),
                (_, [_, extra, ..]) => {
                    Err(format!("{extra:?} is too much: a line is PREFIX,REGION"))
                }
            };
            if let Err(why) = outcome {
                file.mistake(number, &why);
            }
        }
        file
    }

    fn mistake(&mut self, line: usize, why: &str) {
        self.mistakes.push(format!("line {line}: {why}"));
    }

    fn add_region(&mut self, name: &'a str, order: &[&'a str], line: usize) -> Result<(), String> {
        if name.len() >= NAME || !name.bytes().all(|octet| octet.is_ascii_graphic()) {
            return Err(format!(
                "{name:?}: a region's name has 1 to 15 printable ASCII characters"
            ));
        }
        if let Some((.., first)) = self.regions.iter().find(|(known, ..)| *known == name) {
            return Err(format!("region {name} is also in line {first}"));
        }
        if self.regions.len() >= usize::from(MOST_REGIONS) {
            return Err(format!("there are more than {MOST_REGIONS} regions"));
        }
        for (index, other) in order.iter().enumerate() {
            if *other == name || order.iter().take(index).any(|known| known == other) {
                return Err(format!("region {other} is in the order of {name} twice"));
            }
        }
        self.regions.push((name, order.to_vec(), line));
        Ok(())
    }

    /// The number of each region.
    fn numbers(&self) -> HashMap<&'a str, u8> {
        let names = self.regions.iter().map(|(name, ..)| *name);
        names.zip(1..).collect()
    }

    /// Checks what concerns several lines.
    fn check(&mut self, numbers: &HashMap<&str, u8>) {
        let mut found = Vec::new();
        if self.regions.is_empty() && self.mistakes.is_empty() {
            found.push((1, "there is no line \"region NAME\"".to_owned()));
        }
        let unknown = |name: &str| format!("there is no line \"region {name}\"");
        for (_, order, line) in &self.regions {
            for name in order.iter().filter(|name| !numbers.contains_key(*name)) {
                found.push((*line, unknown(name)));
            }
        }
        let mut known: HashMap<IpNet, usize> = HashMap::new();
        for (prefix, region, line) in &self.prefixes {
            if !numbers.contains_key(region) {
                found.push((*line, unknown(region)));
            }
            if let Some(first) = known.insert(*prefix, *line) {
                found.push((*line, format!("{prefix} is also in line {first}")));
            }
        }
        for (line, why) in found {
            self.mistake(line, &why);
        }
    }
}

fn read_prefix(text: &str) -> Result<IpNet, String> {
    let prefix = match text.parse::<IpNet>() {
        Ok(prefix) => prefix,
        Err(_) => text.parse::<IpAddr>().map(IpNet::from).map_err(|_| {
            format!("{text:?} is not a prefix such as 192.0.2.0/24 or 2001:db8::/32")
        })?,
    };
    if prefix.trunc() != prefix {
        return Err(format!(
            "{text} has bits beyond its length; write {}",
            prefix.trunc()
        ));
    }
    Ok(prefix)
}

/// Makes the table of a file.
///
/// # Errors
///
/// The mistakes of the file, each with its line.
pub fn compile(text: &str) -> Result<Vec<u8>, Vec<String>> {
    let mut file = File::read(text);
    let numbers = file.numbers();
    file.check(&numbers);
    if !file.mistakes.is_empty() {
        let more = file.mistakes.len().saturating_sub(MOST_MISTAKES);
        file.mistakes.truncate(MOST_MISTAKES);
        if more > 0 {
            file.mistakes.push(format!("and {more} more mistakes"));
        }
        return Err(file.mistakes);
    }
    let number = |name: &str| numbers.get(name).copied().unwrap_or(0);
    let (mut v4, mut v6) = (Vec::new(), Vec::new());
    for (prefix, region, _) in &file.prefixes {
        let region = number(region);
        match prefix {
            IpNet::V4(prefix) => v4.push((
                u128::from(u32::from(prefix.network())),
                u128::from(u32::from(prefix.broadcast())),
                region,
            )),
            IpNet::V6(prefix) => v6.push((
                u128::from(prefix.network()),
                u128::from(prefix.broadcast()),
                region,
            )),
        }
    }
    let v4 = flatten(v4, u32::MAX.into());
    let v6 = flatten(v6, u128::MAX);
    let counts = [file.regions.len(), v4.len(), v6.len()].map(u32::try_from);
    let [Ok(regions), Ok(v4_count), Ok(v6_count)] = counts else {
        return Err(vec!["the table is too large".to_owned()]);
    };
    let mut octets = MAGIC.to_vec();
    for count in [regions, v4_count, v6_count] {
        octets.extend(count.to_be_bytes());
    }
    octets.resize(HEADER, 0);
    for (name, ..) in &file.regions {
        octets.extend(name.bytes().chain(std::iter::repeat(0)).take(NAME));
    }
    for (name, order, _) in &file.regions {
        let mut row = vec![UNLISTED; file.regions.len() + 1];
        for (known, distance) in std::iter::once(name).chain(order).zip(0..) {
            if let Some(place) = row.get_mut(usize::from(number(known))) {
                *place = distance;
            }
        }
        if let Some(place) = row.first_mut() {
            *place = NOWHERE;
        }
        octets.extend(row);
    }
    for (start, _) in &v4 {
        octets.extend(start.to_be_bytes().iter().skip(12));
    }
    octets.extend(v4.iter().map(|(_, region)| region));
    for (start, _) in &v6 {
        octets.extend(start.to_be_bytes());
    }
    octets.extend(v6.iter().map(|(_, region)| region));
    if octets.len() > MOST_OCTETS {
        return Err(vec![format!(
            "the table has {} octets, more than {MOST_OCTETS}",
            octets.len()
        )]);
    }
    Ok(octets)
}

/// Ranges in ascending order, from 0 on.
#[derive(Default)]
struct Flat(Vec<(u128, u8)>);

impl Flat {
    /// From `start` on, addresses are in `region`.
    fn put(&mut self, start: u128, region: u8) {
        if self.0.last().is_some_and(|(last, _)| *last == start) {
            self.0.pop();
        }
        if self.0.last().is_none_or(|(_, last)| *last != region) {
            self.0.push((start, region));
        }
    }
}

/// Makes ranges of prefixes (first address, last address, region), which are nested or apart. The
/// longest prefix of an address decides.
fn flatten(mut prefixes: Vec<(u128, u128, u8)>, most: u128) -> Vec<(u128, u8)> {
    if prefixes.is_empty() {
        return Vec::new();
    }
    // A longer prefix comes after the one around it.
    prefixes.sort_unstable_by_key(|&(first, last, _)| (first, std::cmp::Reverse(last)));
    let mut flat = Flat::default();
    flat.put(0, 0);
    // The prefixes around the present address, outermost first.
    let mut around: Vec<(u128, u8)> = Vec::new();
    let close = |flat: &mut Flat, around: &mut Vec<(u128, u8)>, before: Option<u128>| {
        while let Some(&(last, _)) = around.last() {
            if before.is_some_and(|before| before <= last) {
                break;
            }
            around.pop();
            if last < most {
                let outer = around.last().map_or(0, |&(_, region)| region);
                flat.put(last + 1, outer);
            }
        }
    };
    for (first, last, region) in prefixes {
        close(&mut flat, &mut around, Some(first));
        flat.put(first, region);
        around.push((last, region));
    }
    close(&mut flat, &mut around, None);
    flat.0
}

/// The numbers of a table, as a sentence.
#[must_use]
pub fn summary(octets: &[u8]) -> String {
    let table = Regions::new(octets);
    format!(
        "{} regions, {} IPv4 ranges, {} IPv6 ranges, {} octets",
        table.len(),
        table.v4().count(),
        table.v6().count(),
        octets.len()
    )
}

/// A table as a file: the fewest prefixes that say the same.
#[must_use]
pub fn text(octets: &[u8]) -> String {
    let table = Regions::new(octets);
    let mut text = String::new();
    for (region, row) in (1..=table.len()).zip(table.distances()) {
        text += &format!("region {}", name(table, region));
        for other in order(table, region, row) {
            text += &format!(" {}", name(table, other));
        }
        text.push('\n');
    }
    let v4: Vec<(u32, u8)> = table.v4().collect();
    for (first, last, region) in ranges(&v4, u32::MAX, |start| start.wrapping_sub(1)) {
        let name = name(table, region);
        for prefix in Ipv4Subnets::new(Ipv4Addr::from(first), Ipv4Addr::from(last), 0) {
            writeln!(text, "{prefix},{name}").ok();
        }
    }
    let v6: Vec<(u128, u8)> = table.v6().collect();
    for (first, last, region) in ranges(&v6, u128::MAX, |start| start.wrapping_sub(1)) {
        let name = name(table, region);
        for prefix in Ipv6Subnets::new(Ipv6Addr::from(first), Ipv6Addr::from(last), 0) {
            writeln!(text, "{prefix},{name}").ok();
        }
    }
    text
}

/// The ranges of addresses in a region: first address, last address, region. In the table, each
/// range ends before the next one starts, and region 0 is none.
fn ranges<A: Copy>(table: &[(A, u8)], highest: A, before: fn(A) -> A) -> Vec<(A, A, u8)> {
    let ends = table.iter().skip(1).map(|(start, _)| before(*start));
    table
        .iter()
        .zip(ends.chain([highest]))
        .map(|((first, region), last)| (*first, last, *region))
        .filter(|(_, _, region)| *region != 0)
        .collect()
}

/// The region of an address and the order of its clients, as a line.
#[must_use]
pub fn place(octets: &[u8], address: IpAddr) -> String {
    let table = Regions::new(octets);
    let core = match address {
        IpAddr::V4(address) => lvs_core::Address::from_v4(address.octets()),
        IpAddr::V6(address) => lvs_core::Address::from_v6(address.octets()),
    };
    let region = table.region(core);
    let Some(row) = table.distances().nth(usize::from(region).wrapping_sub(1)) else {
        return format!("{address} is in no region\n");
    };
    let mut text = format!("{address} is in {}", name(table, region));
    for other in order(table, region, row) {
        text += &format!(", then {}", name(table, other));
    }
    text.push('\n');
    text
}

/// The other regions that clients of `region` prefer, nearest first.
fn order(table: Regions<'_>, region: u8, row: &[u8]) -> Vec<u8> {
    let mut others: Vec<(u8, u8)> = (1..=table.len())
        .zip(row.iter().skip(1))
        .filter(|(other, distance)| *other != region && **distance < UNLISTED)
        .map(|(other, distance)| (*distance, other))
        .collect();
    others.sort_unstable();
    others.into_iter().map(|(_, other)| other).collect()
}

fn name(table: Regions<'_>, region: u8) -> String {
    let name = table.name(region).unwrap_or_default();
    String::from_utf8_lossy(name).into_owned()
}

#[cfg(test)]
mod tests;
