// SPDX-License-Identifier: GPL-2.0-only

use super::{rules_in, survival};

/// Text for `--restore`. It is refused with the line's number, or each rule is in its line, means
/// the same alone, and survives being sent and saved.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let lines: Vec<&str> = text.lines().collect();
    match rules_in(text) {
        Ok(rules) => {
            let mut before = 0;
            for rule in &rules {
                assert!(rule.line > before && lines[rule.line - 1].trim() == rule.text);
                before = rule.line;
            }
            // One stands for all.
            if let Some(rule) = rules.last() {
                let alone = rules_in(&rule.text).unwrap();
                assert_eq!(alone.len(), 1);
                assert_eq!(alone[0].change, rule.change);
                survival::change(&rule.change);
            }
        }
        Err(error) => {
            let text = error.to_string();
            let number = text
                .strip_prefix("line ")
                .and_then(|rest| rest.split(':').next());
            let number: usize = number.and_then(|number| number.parse().ok()).unwrap();
            assert!((1..=lines.len()).contains(&number));
        }
    }
}
