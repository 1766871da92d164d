// SPDX-License-Identifier: GPL-2.0-only

//! The fast path as text and as JSON.

use schemars::JsonSchema;
use serde::Serialize;

use super::json;

/// What `fast-path --json` prints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(title = "fast-path")]
pub struct FastPath {
    /// The setting `net.ipv4.vs.fast_path`.
    pub setting: u32,
    /// The setting that keeps all packets from the fast path although it is on.
    pub rests: Option<Rest>,
    /// The devices that were learned.
    pub devices: u64,
    /// The packets that took the fast path.
    pub packets: u64,
    /// The devices with the XDP program.
    pub xdp: Vec<String>,
    /// The frames that XDP took.
    pub frames: u64,
}

/// The setting with which XDP programs hand over frames.
pub const XDP: u32 = 2;

/// A setting that keeps all packets from the fast path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Rest {
    /// `short_cut` is 0.
    ShortCut,
    /// `conntrack` is 1.
    Conntrack,
}

impl FastPath {
    /// Reads the state from `/proc/net/ip_vs_status`, and settings from their files. `None`: the
    /// director has no fast path.
    #[must_use]
    pub fn read(status: &str, setting: &dyn Fn(&str) -> Option<u32>) -> Option<Self> {
        let number = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim().parse().ok()
        };
        Some(Self {
            setting: setting("fast_path")?,
            rests: match (setting("short_cut"), setting("conntrack")) {
                (Some(0), _) => Some(Rest::ShortCut),
                (_, Some(1)) => Some(Rest::Conntrack),
                _ => None,
            },
            devices: number("Fast path devices:")?,
            packets: number("Fast path packets:")?,
            xdp: Vec::new(),
            // Only a director that has taken some tells.
            frames: number("Fast path frames:").unwrap_or(0),
        })
    }

    /// As text.
    #[must_use]
    pub fn text(&self) -> String {
        let state = match (self.setting, self.rests) {
            (0, _) => "off (net.ipv4.vs.fast_path=0)",
            (_, None) => "on",
            (_, Some(Rest::ShortCut)) => "rests, because of net.ipv4.vs.short_cut=0",
            (_, Some(Rest::Conntrack)) => "rests, because of net.ipv4.vs.conntrack=1",
        };
        let Self {
            devices, packets, ..
        } = self;
        let mut text = format!("fast path  {state}\ndevices    {devices}\npackets    {packets}\n");
        if self.setting >= XDP {
            let names = match self.xdp.is_empty() {
                true => "no device".to_owned(),
                false => self.xdp.join(", "),
            };
            text += &format!("XDP        {names}\nframes     {}\n", self.frames);
        }
        text
    }

    /// As JSON.
    #[must_use]
    pub fn json(&self) -> String {
        json::text(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str = "Conns:\t3\nFast path devices:\t2\nFast path packets:\t4711\n";

    fn read(values: [u32; 3]) -> FastPath {
        let setting = |name: &str| {
            let names = ["fast_path", "short_cut", "conntrack"];
            names
                .into_iter()
                .zip(values)
                .find(|(known, _)| *known == name)
                .map(|(_, value)| value)
        };
        FastPath::read(STATUS, &setting).unwrap()
    }

    #[test]
    fn it_is_on_off_or_rests() {
        let on = read([1, 1, 0]);
        assert_eq!(on.text(), "fast path  on\ndevices    2\npackets    4711\n");
        let first = |path: FastPath| path.text().lines().next().unwrap().to_owned();
        assert_eq!(
            first(read([0, 1, 0])),
            "fast path  off (net.ipv4.vs.fast_path=0)"
        );
        assert!(first(read([1, 0, 0])).ends_with("rests, because of net.ipv4.vs.short_cut=0"));
        assert!(first(read([1, 1, 1])).ends_with("rests, because of net.ipv4.vs.conntrack=1"));
    }

    #[test]
    fn devices_with_xdp_are_named() {
        let mut path = read([2, 1, 0]);
        assert!(path
            .text()
            .ends_with("XDP        no device\nframes     0\n"));
        path.xdp = vec!["eth0".to_owned(), "eth1".to_owned()];
        path.frames = 17;
        let wanted = "XDP        eth0, eth1\nframes     17\n";
        assert!(path.text().ends_with(wanted));
    }

    #[test]
    fn json_has_all_members() {
        let value: serde_json::Value = serde_json::from_str(&read([1, 1, 1]).json()).unwrap();
        let wanted = serde_json::json!({
            "setting": 1, "rests": "conntrack", "devices": 2, "packets": 4711,
            "xdp": [], "frames": 0,
        });
        assert_eq!(value, wanted);
    }

    #[test]
    fn a_director_without_it_has_none() {
        assert_eq!(FastPath::read(STATUS, &|_| None), None);
        assert_eq!(FastPath::read("Conns:\t3\n", &|_| Some(1)), None);
    }
}
