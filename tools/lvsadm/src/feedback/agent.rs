// SPDX-License-Identifier: GPL-2.0-only

//! HAProxy's agent-check protocol: the agent of a server answers each connection with a line.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use lvs_core::feedback::{read, wanted, Report, LONGEST};

use crate::error::Error;

/// Asks an agent until the deadline, and reads no more than the longest answer. An agent that does
/// not answer, hangs or sends something else is silent.
#[must_use]
pub fn ask(agent: SocketAddr, deadline: Instant) -> Report {
    answer(agent, deadline).map_or(Report::Silence, |answer| read(&answer))
}

fn answer(agent: SocketAddr, deadline: Instant) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&agent, left(deadline)?)?;
    let mut answer = Vec::new();
    let mut piece = [0; LONGEST];
    while answer.len() < LONGEST && !answer.contains(&b'\n') {
        stream.set_read_timeout(Some(left(deadline)?))?;
        match stream.read(&mut piece)? {
            0 => break,
            count => answer.extend_from_slice(piece.get(..count).unwrap_or_default()),
        }
    }
    Ok(answer)
}

/// The time until the deadline, which is not 0.
fn left(deadline: Instant) -> std::io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(std::io::ErrorKind::TimedOut.into());
    }
    Ok(left)
}

/// The time that a connection may take to accept the answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// Serves as the agent of this host, whose load is the load average of a minute for each processor.
///
/// # Errors
///
/// When it cannot listen, or the kernel does not tell the load.
pub fn serve(
    address: SocketAddr,
    reference: u32,
    ready: &mut dyn FnMut(SocketAddr),
) -> Result<(), Error> {
    let failed = |error| Error::Failed(format!("cannot listen on {address}: {error}"));
    let listener = TcpListener::bind(address).map_err(failed)?;
    load()?;
    ready(listener.local_addr().map_err(failed)?);
    for stream in listener.incoming() {
        let Ok(mut stream) = stream else { continue };
        stream.set_write_timeout(Some(PATIENCE)).ok();
        let line = format!("{}%\n", wanted(load()?, reference));
        // A director that went away is asked no more.
        stream.write_all(line.as_bytes()).ok();
    }
    Ok(())
}

/// The load of this host in percent.
fn load() -> Result<u32, Error> {
    let unknown = || Error::Failed("cannot read /proc/loadavg".to_owned());
    let text = std::fs::read_to_string("/proc/loadavg").map_err(|_| unknown())?;
    let average: f64 = text
        .split_whitespace()
        .next()
        .and_then(|word| word.parse().ok())
        .ok_or_else(unknown)?;
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    Ok(percent(average, processors))
}

/// A load average as percents of so many processors.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a conversion of a float saturates"
)]
pub(super) fn percent(average: f64, processors: usize) -> u32 {
    (average * 100.0 / processors.max(1) as f64).round() as u32
}
