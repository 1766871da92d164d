// SPDX-License-Identifier: GPL-2.0-only

//! The outcomes of `doctor`.

use anstyle::AnsiColor;
use schemars::JsonSchema;
use serde::Serialize;

use super::json;
use crate::doctor::{Check, Status};

/// What `doctor --json` prints.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "doctor")]
pub(crate) struct Listing<'a> {
    /// The checks that apply.
    checks: &'a [Check],
}

/// The outcomes as JSON.
#[must_use]
pub fn json(checks: &[Check]) -> String {
    json::text(&Listing { checks })
}

/// The outcomes for people, the worst last, where they are seen.
#[must_use]
pub fn text(checks: &[Check]) -> String {
    let mut sorted: Vec<&Check> = checks.iter().collect();
    sorted.sort_by_key(|check| check.status);
    let mut text = String::new();
    for check in sorted {
        let style = match check.status {
            Status::Pass => AnsiColor::Green.on_default(),
            Status::Warn => AnsiColor::Yellow.on_default(),
            Status::Fail => AnsiColor::Red.on_default().bold(),
        };
        let status = check.status.name();
        text += &format!(
            "{style}{status}{style:#}  {:<17}  {}\n",
            check.check, check.message
        );
        if let Some(fix) = &check.fix {
            text += &format!("{:25}-> {fix}\n", "");
        }
    }
    let count = |status| checks.iter().filter(|check| check.status == status).count();
    text += &format!(
        "{} passed, {} warnings, {} failed\n",
        count(Status::Pass),
        count(Status::Warn),
        count(Status::Fail)
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_comes_last_with_its_fix() {
        let check = |check, status, fix: Option<&str>| Check {
            check,
            status,
            message: format!("message of {check}"),
            fix: fix.map(str::to_owned),
        };
        let checks = [
            check("a", Status::Fail, Some("mend a")),
            check("b", Status::Pass, None),
            check("c", Status::Warn, Some("mend c")),
        ];
        let text = anstream::adapter::strip_str(&text(&checks)).to_string();
        assert_eq!(
            text,
            "PASS  b                  message of b\n\
             WARN  c                  message of c\n                         -> mend c\n\
             FAIL  a                  message of a\n                         -> mend a\n\
             1 passed, 1 warnings, 1 failed\n"
        );
        let value: serde_json::Value = serde_json::from_str(&json(&checks)).unwrap();
        assert_eq!(
            value["checks"][0],
            serde_json::json!({
                "check": "a", "status": "FAIL", "message": "message of a", "fix": "mend a",
            })
        );
    }
}
