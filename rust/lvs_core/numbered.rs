// SPDX-License-Identifier: GPL-2.0-only

//! Enumerations whose variants are counted and shown by number.

/// Implements the list of an enumeration's variants, and the ways between a variant, its number and
/// its place in the list. The numbers must begin with 1 and have no gaps, and the variants must be
/// in their order.
macro_rules! numbered {
    ($name:ident: $($variant:ident),* $(,)?) => {
        impl $name {
            /// How many there are.
            pub const COUNT: usize = [$(Self::$variant),*].len();

            /// All of them, in the order of their numbers.
            pub const ALL: [Self; Self::COUNT] = [$(Self::$variant),*];

            /// Its number.
            pub const fn number(self) -> u16 {
                self as u16
            }

            /// Its place in [`Self::ALL`].
            pub const fn index(self) -> usize {
                (self as usize).wrapping_sub(1)
            }

            /// The one with this number.
            pub fn from_number(number: u16) -> Option<Self> {
                Self::ALL.into_iter().find(|one| one.number() == number)
            }
        }
    };
}
