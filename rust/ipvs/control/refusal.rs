// SPDX-License-Identifier: GPL-2.0-only

//! The reason why a request is refused, with the kernel's error numbers.

use kernel::prelude::*;
use lvs_core::{netlink::AttributeError, request};

/// The reason why a request is refused.
pub(super) struct Refusal {
    pub(super) error: Error,
    /// A sentence for the administrator; `None` where the error number says all.
    pub(super) message: Option<&'static CStr>,
}

impl Refusal {
    pub(super) fn new(error: Error, message: &'static CStr) -> Self {
        Self {
            error,
            message: Some(message),
        }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self {
            error,
            message: None,
        }
    }
}

impl From<request::Refusal> for Refusal {
    fn from(refusal: request::Refusal) -> Self {
        let error = Error::from_errno(refusal.errno.number().wrapping_neg());
        Self::new(error, refusal.message)
    }
}

impl From<AttributeError> for Refusal {
    fn from(error: AttributeError) -> Self {
        request::Refusal::from(error).into()
    }
}
