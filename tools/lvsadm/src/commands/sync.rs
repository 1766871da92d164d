// SPDX-License-Identifier: GPL-2.0-only

//! `sync`: the state of synchronization, and its keys.

use std::io::{self, Read};
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use crate::error::Error;
use crate::model::{SyncState, Synchronization};

/// Octets of a key.
pub const KEY: usize = 32;
/// Octets that are read of a file. No key is longer, whatever surrounds its digits.
const MOST: usize = 256;

/// Asks for the state, again and again until the director is ready, or for `wait` at most.
///
/// # Errors
///
/// When the director gives no answer.
pub fn status(
    wait: Option<Duration>,
    pause: Duration,
    ask: &mut dyn FnMut() -> Result<Synchronization, Error>,
) -> Result<Synchronization, Error> {
    let end = wait.map(|wait| Instant::now() + wait);
    loop {
        let sync = ask()?;
        let left = end.map_or(Duration::ZERO, |end| {
            end.saturating_duration_since(Instant::now())
        });
        if sync.state() == SyncState::Ready || left.is_zero() {
            return Ok(sync);
        }
        std::thread::sleep(pause.min(left));
    }
}

/// What the file of a key has. The octets are wiped when they are dropped, and nobody else has a
/// copy: they are read without a buffer, into memory that does not have to grow.
///
/// # Errors
///
/// Those of the file.
pub fn read_key(file: impl Read) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut octets = Zeroizing::new(Vec::with_capacity(2 * MOST));
    file.take(MOST as u64).read_to_end(&mut octets)?;
    Ok(octets)
}

/// The key in a file: 32 octets, or 64 hexadecimal digits and maybe a line feed.
///
/// # Errors
///
/// [`Error::Usage`] for anything else.
pub fn key(file: &str, octets: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
    if octets.len() == KEY {
        return Ok(Zeroizing::new(octets.to_vec()));
    }
    let digits = octets.trim_ascii();
    let mut key = Zeroizing::new(vec![0; KEY]);
    let is_key = digits.len() == 2 * KEY
        && key.iter_mut().zip(digits.chunks(2)).all(|(octet, pair)| {
            let text = std::str::from_utf8(pair).ok();
            let number = text
                .filter(|text| text.bytes().all(|digit| digit.is_ascii_hexdigit()))
                .and_then(|text| u8::from_str_radix(text, 16).ok());
            number.map(|number| *octet = number).is_some()
        });
    if !is_key {
        return Err(Error::Usage(format!(
            "{file}: a key has 32 octets, or 64 hexadecimal digits: head -c 32 /dev/urandom >FILE"
        )));
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Joined;

    fn joined(backup: Joined) -> Synchronization {
        Synchronization {
            backup: Some(backup),
            ..Synchronization::default()
        }
    }

    #[test]
    fn waiting_ends_when_the_director_is_ready() {
        let mut answers = vec![
            joined(Joined::Complete),
            joined(Joined::No),
            joined(Joined::No),
        ];
        let wait = Some(Duration::from_secs(60));
        let mut ask = || Ok(answers.pop().unwrap());
        let sync = status(wait, Duration::ZERO, &mut ask).unwrap();
        assert_eq!(sync.state(), SyncState::Ready);
        assert!(answers.is_empty());
    }

    #[test]
    fn waiting_ends_with_the_time() {
        let mut asked = 0;
        let mut ask = || {
            asked += 1;
            Ok(joined(Joined::No))
        };
        let pause = Duration::from_millis(1);
        let sync = status(None, pause, &mut ask).unwrap();
        assert_eq!(sync.state(), SyncState::Joining);
        let sync = status(Some(Duration::from_millis(20)), pause, &mut ask).unwrap();
        assert_eq!(sync.state(), SyncState::Joining);
        assert!(asked > 2, "{asked}");
    }

    #[test]
    fn the_file_of_a_key_is_read_into_one_piece_of_memory() {
        for len in [0, 32, 65, MOST] {
            let octets = read_key(io::repeat(b'1').take(len as u64)).unwrap();
            assert_eq!((octets.len(), octets.capacity()), (len, 2 * MOST));
        }
        // The rest of a long file is not read; it is refused all the same.
        let octets = read_key(io::repeat(b'1')).unwrap();
        assert_eq!((octets.len(), octets.capacity()), (MOST, 2 * MOST));
        assert!(key("f", &octets).is_err());
    }

    #[test]
    fn a_key_is_32_octets_or_their_digits() {
        assert_eq!(**key("f", &[7; 32]).unwrap(), [7; 32]);
        let digits = format!("{}\n", "0aFF".repeat(16));
        assert_eq!(key("f", digits.as_bytes()).unwrap()[..2], [10, 255]);
        for wrong in [
            &b""[..],
            &[7; 31],
            &[7; 33],
            &[b'g'; 64],
            &[b'+'; 64],
            &[b'1'; 63],
        ] {
            let error = key("f", wrong).unwrap_err().to_string();
            assert!(error.starts_with("f: a key has 32 octets"), "{error}");
        }
    }
}
