// SPDX-License-Identifier: GPL-2.0-only

//! What a network namespace has: a director, and the files by which administrators reach it.
//!
//! It stands above both, so that neither owns the other. When the namespace ends, the files go
//! first, which waits for those who use them; then the director stops.

use crate::{
    director::Director,
    proc::{
        files::{IpVs, IpVsApp, IpVsConn, IpVsConnSync, Stats, StatsPerCpu},
        status::Status,
        sysctl,
    },
};
use kernel::{
    new_mutex,
    prelude::*,
    sync::{Arc, Mutex},
};
use knet::{
    namespace,
    net::Net,
    procfs::{File, ListFile},
};

/// The director of a namespace and its files.
#[pin_data]
pub(crate) struct Instance {
    director: Arc<Director>,
    #[pin]
    files: Mutex<Option<Files>>,
}

/// What administrators see below `/proc`.
struct Files {
    _list: File<IpVs<Instance>>,
    _connections: ListFile<IpVsConn<Instance>>,
    _origins: ListFile<IpVsConnSync<Instance>>,
    _helpers: File<IpVsApp<Instance>>,
    _status: File<Status<Instance>>,
    _stats: File<Stats<Instance>>,
    _stats_percpu: File<StatsPerCpu<Instance>>,
    _settings: sysctl::Directory,
}

impl Instance {
    /// The director. Any context.
    pub(crate) fn director(&self) -> &Arc<Director> {
        &self.director
    }
}

impl AsRef<Director> for Instance {
    fn as_ref(&self) -> &Director {
        &self.director
    }
}

impl namespace::Instance for Instance {
    fn start(net: Net) -> Result<Arc<Self>> {
        let director = Director::new(net.clone())?;
        // Readers find nothing in the files until the namespace has its instance.
        let files = Files {
            _list: File::new(net.clone())?,
            _connections: ListFile::new(net.clone())?,
            _origins: ListFile::new(net.clone())?,
            _helpers: File::new(net.clone())?,
            _status: File::new(net.clone())?,
            _stats: File::new(net.clone())?,
            _stats_percpu: File::new(net.clone())?,
            _settings: sysctl::directory(net, director.clone())?,
        };
        Arc::pin_init(
            pin_init!(Self {
                director,
                files <- new_mutex!(Some(files), "ipvs_rs_files"),
            }),
            GFP_KERNEL,
        )
    }

    fn device_gone(&self) {
        if let Some(tables) = self.director.tables() {
            tables.forget_routes();
        }
    }

    fn device_removed(&self, device: i32) {
        self.director.forget_device(device);
    }

    fn stop(&self) {
        let files = self.files.lock().take();
        // Outside the lock, since it waits for readers.
        drop(files);
        self.director.stop();
    }
}
