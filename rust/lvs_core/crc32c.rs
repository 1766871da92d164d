// SPDX-License-Identifier: GPL-2.0-only

//! The checksum of SCTP, CRC32c (RFC 9260, appendix A), and its incremental update.
//!
//! A CRC is linear: the checksums of two packets of one length differ by the CRC of their
//! difference, with an initial value of 0. The difference is in the first four octets, the ports.
//! Zeros follow, and `n` zero octets multiply a CRC by x^(8n) modulo the polynomial. So no octet of
//! the payload is read, and a damaged packet stays damaged.

/// The polynomial 0x1EDC6F41 with its bits reversed.
const POLYNOMIAL: u32 = 0x82f6_3b78;

/// Multiplies two polynomials modulo the polynomial. The highest bit is the coefficient of x^0.
const fn multiply(mut a: u32, mut b: u32) -> u32 {
    let mut product = 0;
    while a != 0 {
        if a & (1 << 31) != 0 {
            product ^= b;
        }
        a <<= 1;
        b = match b & 1 {
            0 => b >> 1,
            _ => (b >> 1) ^ POLYNOMIAL,
        };
    }
    product
}

/// x^8, x^16, x^32 ...: what 1, 2, 4 ... zero octets multiply a CRC by.
const ZEROS: [u32; 16] = {
    let mut powers = [0; 16];
    let mut power: u32 = 1 << (31 - 8);
    let mut rest: &mut [u32] = &mut powers;
    while let [first, tail @ ..] = rest {
        *first = power;
        power = multiply(power, power);
        rest = tail;
    }
    powers
};

/// Returns the checksum field, in network order, after the first four octets of a packet of `len`
/// octets were changed from `old` to `new`.
pub fn update(check: u32, old: [u8; 4], new: [u8; 4], len: u16) -> u32 {
    // The field has the CRC in little-endian order.
    let mut change = u32::from_le_bytes(old) ^ u32::from_le_bytes(new);
    // The CRC of four octets: multiplied by x^32.
    let [_, _, four, ..] = ZEROS;
    change = multiply(four, change);
    let rest = len.saturating_sub(4);
    for (bit, power) in ZEROS.iter().enumerate() {
        if (rest >> bit) & 1 != 0 {
            change = multiply(*power, change);
        }
    }
    (check.swap_bytes() ^ change).swap_bytes()
}
