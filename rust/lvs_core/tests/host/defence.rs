// SPDX-License-Identifier: GPL-2.0-only

use lvs_core::defence::{one_in, Mode};

#[test]
fn modes_have_their_numbers() {
    let modes = [Mode::Off, Mode::Ready, Mode::Acting, Mode::Always];
    for (number, mode) in modes.into_iter().enumerate() {
        assert_eq!(Mode::from_number(number as u32), Some(mode));
        assert_eq!(mode as usize, number);
    }
    assert_eq!(Mode::from_number(4), None);
    assert_eq!(Mode::from_number(u32::MAX), None);
}

#[test]
fn only_the_automatic_mode_follows_memory() {
    for (mode, plenty, scarce) in [
        (Mode::Off, Mode::Off, Mode::Off),
        (Mode::Ready, Mode::Ready, Mode::Acting),
        (Mode::Acting, Mode::Ready, Mode::Acting),
        (Mode::Always, Mode::Always, Mode::Always),
    ] {
        assert_eq!(mode.after(false), plenty);
        assert_eq!(mode.after(true), scarce);
    }
    let acting = [Mode::Off, Mode::Ready, Mode::Acting, Mode::Always].map(Mode::acts);
    assert_eq!(acting, [false, false, true, true]);
}

#[test]
fn the_less_memory_the_more_is_dropped() {
    assert_eq!(one_in(Mode::Off, 10, 0, 1024), 0);
    assert_eq!(one_in(Mode::Ready, 10, 0, 1024), 0);
    assert_eq!(one_in(Mode::Always, 10, 5000, 1024), 10);
    assert_eq!(one_in(Mode::Always, 0, 0, 1024), 0);
    // Without memory, all are dropped. With half of it, every second one. With nearly all, few.
    assert_eq!(one_in(Mode::Acting, 10, 0, 1024), 1);
    assert_eq!(one_in(Mode::Acting, 10, 512, 1024), 2);
    assert_eq!(one_in(Mode::Acting, 10, 1023, 1024), 1024);
    // There is enough memory again.
    assert_eq!(one_in(Mode::Acting, 10, 1024, 1024), 0);
    assert_eq!(one_in(Mode::Acting, 10, u64::MAX, 1024), 0);
    assert_eq!(one_in(Mode::Acting, 10, 0, 0), 0);
    assert_eq!(one_in(Mode::Acting, 10, u64::MAX - 1, u64::MAX), u32::MAX);
}
