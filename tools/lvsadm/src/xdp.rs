// SPDX-License-Identifier: GPL-2.0-only

//! The XDP program that hands frames to the director, and the devices that it is attached to.
//!
//! It calls one function of the module `ipvs_rs_xdp` and returns what that returns. This is its
//! source:
//!
//! ```c
//! extern int ipvs_rs_xdp_forward(struct xdp_md *ctx) __attribute__((section(".ksyms")));
//! char _license[] __attribute__((section("license"))) = "GPL";
//! __attribute__((section("xdp"))) int ipvs_rs(struct xdp_md *ctx)
//! {
//!     return ipvs_rs_xdp_forward(ctx);
//! }
//! ```
//!
//! A compiler for BPF would be a large tool for two instructions, so [`object`] writes the object
//! file that one makes of it. `ip` loads and attaches it, as it does the programs of others.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::PathBuf,
    process::{self, Command},
};

use serde::Deserialize;

use crate::error::Error;

/// The name of the program, by which it is recognized.
const PROGRAM: &str = "ipvs_rs";
/// The section that it is in.
const SECTION: &str = "xdp";
/// The function that it calls.
const FUNCTION: &str = "ipvs_rs_xdp_forward";

/// Text with a zero after each part, as object files have it.
struct Strings(Vec<u8>);

impl Strings {
    fn new() -> Self {
        Self(vec![0])
    }

    /// Adds a text and returns its offset.
    fn add(&mut self, text: &str) -> u32 {
        let at = length(&self.0);
        self.0.extend_from_slice(text.as_bytes());
        self.0.push(0);
        at
    }
}

/// The length of something that is far shorter than 4 GiB.
fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

/// The octets of words. All machines that the director runs on begin with the lowest.
fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// The types that the program uses, as `Documentation/bpf/btf.rst` of the kernel tells.
fn types() -> Vec<u8> {
    const INT: u32 = 1 << 24;
    const POINTER: u32 = 2 << 24;
    const STRUCT: u32 = 4 << 24;
    const FUNCTION_OF: u32 = 12 << 24;
    const PROTOTYPE: u32 = 13 << 24;
    const SECTION_OF: u32 = 15 << 24;
    const EXTERN: u32 = 2;
    const MAGIC_AND_VERSION: u32 = (1 << 16) | 0xeb9f;
    const HEADER: u32 = 24;
    let mut strings = Strings::new();
    let types = words(&[
        // 1: int, signed, with 32 bits.
        strings.add("int"),
        INT,
        4,
        (1 << 24) | 32,
        // 2: struct xdp_md, whose members are not used.
        strings.add("xdp_md"),
        STRUCT,
        24,
        // 3: a pointer to it.
        0,
        POINTER,
        2,
        // 4: a function that gets the pointer and returns an int.
        0,
        PROTOTYPE | 1,
        1,
        strings.add("ctx"),
        3,
        // 5: the function of the module.
        strings.add(FUNCTION),
        FUNCTION_OF | EXTERN,
        4,
        // 6: what the kernel has.
        strings.add(".ksyms"),
        SECTION_OF | 1,
        0,
        5,
        0,
        0,
    ]);
    let header = [
        MAGIC_AND_VERSION,
        HEADER,
        0,
        length(&types),
        length(&types),
        length(&strings.0),
    ];
    [words(&header), types, strings.0].concat()
}

/// A section of an object file.
struct Section {
    name: &'static str,
    kind: u32,
    flags: u64,
    link: u32,
    info: u32,
    entry: u64,
    bytes: Vec<u8>,
}

impl Section {
    fn program(name: &'static str, flags: u64, bytes: Vec<u8>) -> Self {
        Self {
            name,
            kind: 1,
            flags,
            link: 0,
            info: 0,
            entry: 0,
            bytes,
        }
    }
}

/// A symbol: its name, type and section.
fn symbol(strings: &mut Strings, name: &str, info: u8, section: u16, size: u64) -> Vec<u8> {
    let mut bytes = strings.add(name).to_le_bytes().to_vec();
    bytes.extend([info, 0]);
    bytes.extend(section.to_le_bytes());
    bytes.extend(0u64.to_le_bytes());
    bytes.extend(size.to_le_bytes());
    bytes
}

/// The sections of the object file, after the empty one.
fn sections(strings: &mut Strings) -> Vec<Section> {
    const CODE: u16 = 1;
    const LICENSE: u16 = 3;
    const SYMBOLS: u32 = 5;
    const WRITE: u64 = 1;
    const ALLOCATED: u64 = 2;
    const EXECUTABLE: u64 = 4;
    const GLOBAL: u8 = 1 << 4;
    const OBJECT: u8 = 1;
    const FUNC: u8 = 2;
    // The relocation of a call.
    const R_BPF_64_32: u64 = 10;
    // A call of another function, and a return.
    let code = [
        [0x85, 0x10, 0, 0, 0xff, 0xff, 0xff, 0xff],
        [0x95, 0, 0, 0, 0, 0, 0, 0],
    ];
    let symbols = [
        vec![0; 24],
        symbol(strings, PROGRAM, GLOBAL | FUNC, CODE, 16),
        symbol(strings, FUNCTION, GLOBAL, 0, 0),
        symbol(strings, "license", GLOBAL | OBJECT, LICENSE, 4),
    ];
    // The first instruction calls the second symbol.
    let relocation = [0u64, (2 << 32) | R_BPF_64_32].map(u64::to_le_bytes);
    vec![
        Section::program(SECTION, ALLOCATED | EXECUTABLE, code.concat()),
        Section {
            kind: 9,
            link: SYMBOLS,
            info: CODE.into(),
            entry: 16,
            ..Section::program(".relxdp", 0, relocation.concat())
        },
        Section::program("license", ALLOCATED | WRITE, b"GPL\0".to_vec()),
        Section::program(".BTF", 0, types()),
        Section {
            kind: 2,
            link: SYMBOLS + 1,
            info: 1,
            entry: 24,
            ..Section::program(".symtab", 0, symbols.concat())
        },
        // Filled last.
        Section {
            kind: 3,
            ..Section::program(".strtab", 0, Vec::new())
        },
    ]
}

/// The object file of the program: ELF, as its specification and libbpf have it.
#[must_use]
pub fn object() -> Vec<u8> {
    const HEADER: u16 = 64;
    const RELOCATABLE: u16 = 1;
    const MACHINE_BPF: u16 = 247;
    const VERSION: u32 = 1;
    let header = usize::from(HEADER);
    let mut strings = Strings::new();
    let mut sections = sections(&mut strings);
    let names: Vec<u32> = sections
        .iter()
        .map(|section| strings.add(section.name))
        .collect();
    if let Some(last) = sections.last_mut() {
        last.bytes = strings.0;
    }
    let mut content = Vec::new();
    let mut headers = vec![0; header];
    for (section, name) in sections.iter().zip(names) {
        while content.len() % 8 != 0 {
            content.push(0);
        }
        let at = (header + content.len()) as u64;
        content.extend_from_slice(&section.bytes);
        headers.extend(words(&[name, section.kind]));
        for number in [section.flags, 0, at, section.bytes.len() as u64] {
            headers.extend(number.to_le_bytes());
        }
        headers.extend(words(&[section.link, section.info]));
        for number in [8, section.entry] {
            headers.extend(number.to_le_bytes());
        }
    }
    while content.len() % 8 != 0 {
        content.push(0);
    }
    let count = u16::try_from(sections.len() + 1).unwrap_or(u16::MAX);
    // 64 bits, the lowest octet first.
    let mut file = b"\x7fELF\x02\x01\x01\0".to_vec();
    file.extend([0; 8]);
    file.extend([RELOCATABLE, MACHINE_BPF].map(u16::to_le_bytes).concat());
    file.extend(VERSION.to_le_bytes());
    for number in [0, 0, (header + content.len()) as u64] {
        file.extend(number.to_le_bytes());
    }
    file.extend(words(&[0]));
    let sizes = [HEADER, 0, 0, HEADER, count, count.saturating_sub(1)];
    file.extend(sizes.map(u16::to_le_bytes).concat());
    [file, content, headers].concat()
}

/// A file that is removed when the value is dropped.
struct Temporary(PathBuf);

impl Temporary {
    fn new(content: &[u8]) -> Result<Self, Error> {
        let name = format!("lvsadm-{}.bpf.o", process::id());
        let path = std::env::temp_dir().join(name);
        let failed = |error| Error::Failed(format!("cannot write {}: {error}", path.display()));
        // It must not be a file of somebody else.
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(failed)?;
        let temporary = Self(path.clone());
        file.write_all(content).map_err(failed)?;
        Ok(temporary)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Runs `ip` and returns what it prints.
fn ip(words: &[&str]) -> Result<String, Error> {
    let output = Command::new("ip")
        .args(words)
        .output()
        .map_err(|error| Error::Failed(format!("cannot run ip: {error}")))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    Err(Error::Failed(text.trim().to_owned()))
}

/// A device, as `ip -json link` prints it.
#[derive(Deserialize)]
struct Link {
    ifname: String,
    xdp: Option<Attached>,
}

#[derive(Deserialize)]
struct Attached {
    prog: Option<Program>,
}

#[derive(Deserialize)]
struct Program {
    name: Option<String>,
}

impl Link {
    fn has_ours(&self) -> bool {
        let program = self.xdp.as_ref().and_then(|xdp| xdp.prog.as_ref());
        program.and_then(|program| program.name.as_deref()) == Some(PROGRAM)
    }
}

/// The devices whose frames the director sees.
///
/// # Errors
///
/// `ip` cannot be run, or prints something else than it did.
pub fn devices() -> Result<Vec<String>, Error> {
    let text = ip(&["-json", "-details", "link", "show"])?;
    let links: Vec<Link> = serde_json::from_str(&text)
        .map_err(|error| Error::Failed(format!("ip -json link: {error}")))?;
    let ours = links.into_iter().filter(Link::has_ours);
    Ok(ours.map(|link| link.ifname).collect())
}

/// Attaches the program to a device.
///
/// # Errors
///
/// The kernel or the device's driver refuses it, or the device has another program.
pub fn attach(device: &str) -> Result<(), Error> {
    if devices()?.iter().any(|name| name == device) {
        return Ok(());
    }
    let file = Temporary::new(&object())?;
    let path = file.0.to_string_lossy();
    let words = [
        "link", "set", "dev", device, "xdpdrv", "object", &path, "section", SECTION,
    ];
    ip(&words).map(drop)
}

/// Detaches the program from a device.
///
/// # Errors
///
/// The device does not have it.
pub fn detach(device: &str) -> Result<(), Error> {
    if !devices()?.iter().any(|name| name == device) {
        let message = format!("{device} does not have the program of the director");
        return Err(Error::Failed(message));
    }
    ip(&["link", "set", "dev", device, "xdpdrv", "off"]).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(file: &[u8], at: usize, octets: usize) -> usize {
        let octets = file[at..at + octets].iter().rev();
        octets.fold(0, |sum, octet| (sum << 8) | usize::from(*octet))
    }

    /// The sections of an object file, with their names.
    fn read(file: &[u8]) -> Vec<(String, Vec<u8>)> {
        let (headers, count, names) = (
            number(file, 40, 8),
            number(file, 60, 2),
            number(file, 62, 2),
        );
        assert_eq!(headers + 64 * count, file.len());
        let range = |index: usize| {
            let header = headers + 64 * index;
            let (at, len) = (number(file, header + 24, 8), number(file, header + 32, 8));
            assert_eq!(at % 8, 0);
            &file[at..at + len]
        };
        let names = range(names);
        let section = |index: usize| {
            let name = &names[number(file, headers + 64 * index, 4)..];
            let name = name.split(|octet| *octet == 0).next().unwrap();
            (
                String::from_utf8(name.to_vec()).unwrap(),
                range(index).to_vec(),
            )
        };
        (1..count).map(section).collect()
    }

    #[test]
    fn the_object_has_a_program_that_calls_the_director() {
        let file = object();
        assert!(file.starts_with(b"\x7fELF"));
        let sections = read(&file);
        let names: Vec<&str> = sections.iter().map(|(name, _)| name.as_str()).collect();
        let wanted = ["xdp", ".relxdp", "license", ".BTF", ".symtab", ".strtab"];
        assert_eq!(names, wanted);
        let content = |name: &str| &sections.iter().find(|(known, _)| known == name).unwrap().1;
        assert_eq!(content("xdp").len(), 16);
        assert_eq!(content("license"), b"GPL\0");
        // The symbol that the first instruction calls.
        let symbol = 24 * number(content(".relxdp"), 12, 4);
        let name = number(content(".symtab"), symbol, 4);
        let text = &content(".strtab")[name..];
        assert!(text.starts_with(b"ipvs_rs_xdp_forward\0"));
    }

    #[test]
    fn types_fill_their_section() {
        let types = types();
        let (len, strings) = (number(&types, 12, 4), number(&types, 20, 4));
        assert_eq!(24 + len + strings, types.len());
        assert_eq!(types.last(), Some(&0));
    }

    #[test]
    fn programs_of_others_are_not_ours() {
        let text = r#"[{"ifname":"lo"},
            {"ifname":"a","xdp":{"mode":1,"prog":{"id":3,"name":"other"}}},
            {"ifname":"b","xdp":{"mode":1,"prog":{"id":4,"name":"ipvs_rs"}}}]"#;
        let links: Vec<Link> = serde_json::from_str(text).unwrap();
        let ours: Vec<bool> = links.iter().map(Link::has_ours).collect();
        assert_eq!(ours, [false, false, true]);
    }
}
