// SPDX-License-Identifier: GPL-2.0-only

//! Where the instructions of a packet are: the counts of `profile/count.c` by function.
//!
//! The guest prints these lines (`profile.py`), in an order in which each section follows the
//! symbols that were valid for it:
//!
//! | line | meaning |
//! |---|---|
//! | `kernel` | symbols of the kernel follow |
//! | `modules` | symbols of all loaded modules follow; earlier ones of modules are invalid |
//! | `symbol ADDRESS NAME [MODULE]` | a function and its address in hexadecimal |
//! | `section NUMBER MODE ROW PACKETS` | a measured row, the number of its file, and its packets |
//!
//! A line of a file is an address in hexadecimal, the number of instructions from there on, and how
//! often they were executed.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::error::Error;
use crate::number::grouped;

/// A row of a profile.
#[derive(Debug, PartialEq)]
pub struct Row {
    /// The mode and the name of the row.
    pub name: String,
    /// Instructions for a packet, by function, most expensive first.
    pub functions: Vec<(String, f64)>,
}

/// Functions by their addresses.
#[derive(Default)]
struct Symbols {
    kernel: BTreeMap<u64, String>,
    modules: BTreeMap<u64, String>,
}

impl Symbols {
    /// The function that has the code at this address.
    fn function(&self, address: u64) -> &str {
        let last = |map: &'_ BTreeMap<u64, String>| map.range(..=address).next_back().map(|e| *e.0);
        let map = if last(&self.modules) > last(&self.kernel) {
            &self.modules
        } else {
            &self.kernel
        };
        map.range(..=address).next_back().map_or("unknown", |e| e.1)
    }

    fn insert(&mut self, fields: &[&str]) -> Option<()> {
        let [address, name, module @ ..] = fields else {
            return None;
        };
        let address = u64::from_str_radix(address, 16).ok()?;
        let name = format!("{:#}", rustc_demangle::demangle(name));
        match module {
            [] => self.kernel.insert(address, name),
            [module, ..] => self.modules.insert(address, format!("{name} {module}")),
        };
        Some(())
    }
}

/// Reads what the guest printed, and the files of the sections.
pub fn read(console: &str, sections: &Path) -> Result<Vec<Row>, Error> {
    let mut symbols = Symbols::default();
    let mut rows = Vec::new();
    for line in console.lines() {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let understood = match fields[..] {
            ["modules"] => {
                symbols.modules.clear();
                Some(())
            }
            ["symbol", ref fields @ ..] => symbols.insert(fields),
            ["section", number, mode, row, packets] => match packets.parse() {
                Ok(packets) if packets > 0.0 => {
                    let file = sections.join(format!("section.{number}"));
                    let functions = by_function(&file, &symbols, packets)?;
                    let name = format!("{mode} {row}");
                    rows.push(Row { name, functions });
                    Some(())
                }
                Ok(_) | Err(_) => None,
            },
            // A console may print anything beside.
            _ => Some(()),
        };
        if understood.is_none() {
            return Err(Error::new(format!("unexpected line of the guest: {line}")));
        }
    }
    if rows.is_empty() {
        return Err(Error::new("the guest has measured no row"));
    }
    Ok(rows)
}

fn by_function(file: &Path, symbols: &Symbols, packets: f64) -> Result<Vec<(String, f64)>, Error> {
    let text = fs::read_to_string(file).map_err(|error| Error::file(file, error))?;
    let mut functions = BTreeMap::<&str, u64>::new();
    for line in text.lines() {
        let block = || {
            let mut fields = line.split(' ');
            let address = u64::from_str_radix(fields.next()?, 16).ok()?;
            let instructions: u64 = fields.next()?.parse().ok()?;
            let executions: u64 = fields.next()?.parse().ok()?;
            Some((address, instructions.checked_mul(executions)?))
        };
        let (address, instructions) =
            block().ok_or_else(|| Error::file(file, format!("unexpected line: {line}")))?;
        *functions.entry(symbols.function(address)).or_default() += instructions;
    }
    let mut functions: Vec<(String, f64)> = functions
        .into_iter()
        .map(|(name, instructions)| (name.to_owned(), instructions as f64 / packets))
        .collect();
    functions.sort_by(|a, b| b.1.total_cmp(&a.1));
    Ok(functions)
}

/// Text for people: for each row all functions that execute at least one instruction for a packet.
pub fn render(rows: &[Row]) -> String {
    let mut text = String::new();
    for Row { name, functions } in rows {
        let total = functions.iter().map(|(_, instructions)| instructions).sum();
        text += &format!("{name}: {} instructions for a packet\n", grouped(total, 0));
        for (function, instructions) in functions.iter().filter(|(_, each)| *each >= 1.0) {
            text += &format!("{:>8} {function}\n", grouped(*instructions, 1));
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONSOLE: &str = "kernel\n\
        symbol ffffffff81000000 first\n\
        symbol ffffffff81000100 second\n\
        modules\n\
        symbol ffffffffc0000000 old [bench_nic]\n\
        {\"other\": \"output\"}\n\
        modules\n\
        symbol ffffffffc0000100 _RNvC1a3new [ipvs_rs]\n\
        section 0 ipvs_rs nic-nat-100 100\n";

    fn read_counts(counts: &str) -> Result<Vec<Row>, Error> {
        let folder = tempfile::TempDir::new().unwrap();
        fs::write(folder.path().join("section.0"), counts).unwrap();
        read(CONSOLE, folder.path())
    }

    #[test]
    fn instructions_count_for_the_function_at_their_address() {
        let counts = "ffffffff81000004 3 100\nffffffff81000104 5 200\nffffffffc0000180 7 300\n";
        let text = render(&read_counts(counts).unwrap());
        assert_eq!(
            text,
            "ipvs_rs nic-nat-100: 34 instructions for a packet\n\
             \x20   21.0 a::new [ipvs_rs]\n\
             \x20   10.0 second\n\
             \x20    3.0 first\n\n"
        );
    }

    #[test]
    fn functions_of_unloaded_modules_are_forgotten() {
        let rows = read_counts("ffffffffc0000080 1 100\n").unwrap();
        assert_eq!(rows[0].functions, [("second".to_owned(), 1.0)]);
    }

    #[test]
    fn other_lines_in_a_section_are_an_error() {
        let error = read_counts("ffffffff81000004 three 1\n").unwrap_err();
        assert!(error.to_string().contains("unexpected line"), "{error}");
    }

    #[test]
    fn a_missing_section_is_an_error() {
        let folder = tempfile::TempDir::new().unwrap();
        let error = read(CONSOLE, folder.path()).unwrap_err();
        assert!(error.to_string().contains("section.0"), "{error}");
    }
}
