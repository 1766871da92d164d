// SPDX-License-Identifier: GPL-2.0-only

//! `diff` and `apply`.

use schemars::JsonSchema;
use serde::Serialize;

use crate::client::Director;
use crate::desired;
use crate::error::Error;
use crate::format::json;
use crate::names::Names;
use crate::plan::{self, Action, Plan};

/// What to do with the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// The file's text.
    pub text: &'a str,
    /// Services that it does not have are to go.
    pub prune: bool,
    /// Change the table.
    pub apply: bool,
    /// Answer as JSON.
    pub json: bool,
}

/// What `diff --json` and `apply --json` print.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "diff")]
pub(crate) struct Listing<'a> {
    /// There is no difference.
    same: bool,
    /// The changes have been made.
    applied: bool,
    /// Services and servers that the table lacks.
    added: usize,
    /// Services and servers that differ.
    edited: usize,
    /// Services and servers that the file lacks.
    deleted: usize,
    /// Services that the file lacks and that stay.
    left_alone: usize,
    /// The changes, in their order.
    changes: Vec<Change<'a>>,
}

/// A difference.
#[derive(Serialize, JsonSchema)]
struct Change<'a> {
    /// "add", "edit" or "delete".
    action: &'static str,
    /// The service.
    service: String,
    /// The rule now, as `-S` prints it.
    before: Option<&'a str>,
    /// The rule then.
    after: Option<&'a str>,
}

/// Compares the director's table with the file's, and changes it if that is wanted. Returns the
/// answer, and whether there are differences.
///
/// # Errors
///
/// When the file is wrong, or the director refuses.
pub fn run(
    director: &mut dyn Director,
    names: &dyn Names,
    request: &Request<'_>,
) -> Result<(String, bool), Error> {
    let wanted = desired::read(request.text, names)?;
    let plan = plan::between(&director.table(false)?, &wanted, request.prune);
    if request.apply {
        plan::carry_out(&plan, director)?;
    }
    let differs = !plan.steps.is_empty();
    let text = if request.json {
        listing(&plan, request.apply)
    } else {
        text(&plan, request.apply)
    };
    Ok((text, differs))
}

fn listing(plan: &Plan, applied: bool) -> String {
    json::text(&Listing {
        same: plan.steps.is_empty(),
        applied,
        added: plan.count(Action::Add),
        edited: plan.count(Action::Edit),
        deleted: plan.count(Action::Delete),
        left_alone: plan.left_alone,
        changes: plan
            .steps
            .iter()
            .map(|step| Change {
                action: step.action.name(),
                service: step.service.to_string(),
                before: step.before.as_deref(),
                after: step.after.as_deref(),
            })
            .collect(),
    })
}

fn text(plan: &Plan, applied: bool) -> String {
    let mut text = String::new();
    for step in &plan.steps {
        text += &format!("{step}\n");
    }
    let verb = if applied { "" } else { "to be " };
    text += &if plan.steps.is_empty() {
        "no differences".to_owned()
    } else {
        format!(
            "{verb}added: {}, {verb}edited: {}, {verb}deleted: {}",
            plan.count(Action::Add),
            plan.count(Action::Edit),
            plan.count(Action::Delete)
        )
    };
    if plan.left_alone > 0 {
        text += &format!(
            "; not in the file and left alone: {} (--prune deletes them)",
            plan.left_alone
        );
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::memory::Memory;
    use crate::names::Fixed;

    fn request(text: &str) -> Request<'_> {
        Request {
            text,
            prune: false,
            apply: false,
            json: false,
        }
    }

    const RULES: &str = "-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.0.0.2:80 -m -w 1\n";

    #[test]
    fn diff_shows_what_apply_does_and_changes_nothing() {
        let mut director = Memory::default();
        let (text, differs) = run(&mut director, &Fixed, &request(RULES)).unwrap();
        assert!(differs);
        assert_eq!(
            text,
            "+ -A -t 10.0.0.1:80 -s rr\n\
             + -a -t 10.0.0.1:80 -r 10.0.0.2:80 -m -w 1\n\
             to be added: 2, to be edited: 0, to be deleted: 0\n"
        );
        assert!(director.groups.is_empty());
        let apply = Request {
            apply: true,
            ..request(RULES)
        };
        let (text, differs) = run(&mut director, &Fixed, &apply).unwrap();
        assert!(differs);
        assert!(
            text.ends_with("added: 2, edited: 0, deleted: 0\n"),
            "{text}"
        );
        let (text, differs) = run(&mut director, &Fixed, &apply).unwrap();
        assert!(!differs);
        assert_eq!(text, "no differences\n");
    }

    #[test]
    fn json_counts_and_lists_the_changes() {
        let mut director = Memory::default();
        let json = Request {
            json: true,
            ..request(RULES)
        };
        let (text, _) = run(&mut director, &Fixed, &json).unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["same"], false);
        assert_eq!(value["applied"], false);
        assert_eq!(value["added"], 2);
        assert_eq!(
            value["changes"][1],
            serde_json::json!({
                "action": "add",
                "service": "TCP 10.0.0.1:80",
                "before": null,
                "after": "-a -t 10.0.0.1:80 -r 10.0.0.2:80 -m -w 1",
            })
        );
    }
}
