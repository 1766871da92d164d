// SPDX-License-Identifier: GPL-2.0-only

//! What the kernel reports about its director.

/// What the kernel says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Info {
    /// Version, one octet a part.
    pub version: u32,
    /// Buckets of the connection table.
    pub table_size: u32,
}

impl Info {
    /// The version as people write it.
    #[must_use]
    pub fn version(&self) -> String {
        let [_, major, minor, patch] = self.version.to_be_bytes();
        format!("{major}.{minor}.{patch}")
    }
}

/// The kernel module, as it says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    /// Its name.
    pub name: &'static str,
    /// Its version; absent where it cannot be asked for it.
    pub version: Option<String>,
    /// What it offers beside what all modules do, by names that this command may or may not know.
    pub features: Vec<String>,
}

impl Module {
    /// What this command could use and the module does not offer.
    #[must_use]
    pub fn missing(&self) -> Vec<&'static str> {
        lvs_core::extension::feature::ALL
            .iter()
            .filter_map(|feature| feature.to_str().ok())
            .filter(|feature| !self.features.iter().any(|offered| offered == feature))
            .collect()
    }
}
