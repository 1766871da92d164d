// SPDX-License-Identifier: GPL-2.0-only

//! The form of numbers in text.

/// Formats a number with a number of decimals and with separators between thousands.
pub fn grouped(value: f64, decimals: usize) -> String {
    let plain = format!("{:.decimals$}", value.abs());
    let (whole, fraction) = plain.split_at(plain.find('.').unwrap_or(plain.len()));
    let mut text = String::new();
    // A value that rounds to zero has no sign.
    if value < 0.0 && plain.contains(|c: char| ('1'..='9').contains(&c)) {
        text.push('-');
    }
    for (index, digit) in whole.char_indices() {
        if index > 0 && (whole.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text + fraction
}

/// The same with a sign, for differences.
pub fn signed(value: f64, decimals: usize) -> String {
    let text = grouped(value, decimals);
    if text.starts_with('-') {
        text
    } else {
        format!("+{text}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_separated() {
        assert_eq!(grouped(0.0, 0), "0");
        assert_eq!(grouped(999.95, 1), "1,000.0");
        assert_eq!(grouped(1_234_567.0, 0), "1,234,567");
        assert_eq!(grouped(-123_456.7, 1), "-123,456.7");
        assert_eq!(grouped(-0.04, 1), "0.0");
    }

    #[test]
    fn differences_have_a_sign() {
        assert_eq!(signed(1_908.0, 0), "+1,908");
        assert_eq!(signed(-500.0, 0), "-500");
        assert_eq!(signed(0.0, 1), "+0.0");
    }
}
