// SPDX-License-Identifier: GPL-2.0-only

//! The command as scripts use it: input and output files, messages, exit codes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

const UML: &str = "tests/fixtures/uml.jsonl";
const ICOUNT: &str = "tests/fixtures/icount.jsonl";

/// Exit code, standard output, standard error.
fn run(arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_bench-report"))
        .args(arguments)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

fn file(folder: &TempDir, name: &str, text: &str) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, text).unwrap();
    path
}

fn utf8(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The gate's verdict on the fixture with these figures recorded.
fn gate(recorded: &str) -> (i32, String, String) {
    let folder = TempDir::new().unwrap();
    let path = file(&folder, "recorded.json", recorded);
    run(&["gate", ICOUNT, "--recorded", utf8(&path)])
}

#[test]
fn the_gate_passes_fails_and_misses() {
    let recorded = |rows: &str| {
        format!(r#"{{"tolerance_percent": 3, "tolerance_least": 10, "added": {{{rows}}}}}"#)
    };
    let (code, text, _) = gate(&recorded(r#""nat-100": -500, "dr-100": -630"#));
    assert_eq!(code, 0);
    let dr = "dr-100: ok: adds -620 instructions a packet; recorded -630, at most -612\n";
    assert_eq!(
        text,
        dr.to_owned()
            + "nat-100: ok: adds -500 instructions a packet; recorded -500, at most -485\n"
    );

    let (code, text, _) = gate(&recorded(r#""nat-100": -516"#));
    assert_eq!(code, 1);
    assert!(text.starts_with(
        "nat-100: FAILED: adds -500 instructions a packet; recorded -516, at most -501\n"
    ));
    assert!(text.contains("--record"), "{text}");

    let (code, text, _) = gate(&recorded(r#""tcp-nat-100": 0, "nat-100": 0"#));
    assert_eq!(code, 1);
    assert!(text.contains("\ntcp-nat-100: MISSING"), "{text}");
}

#[test]
fn a_gate_without_figures_is_an_error() {
    let (code, _, error) = gate(r#"{"tolerance_percent": 3, "tolerance_least": 10, "added": {}}"#);
    assert_eq!(code, 2);
    assert!(error.contains("no rows are recorded"), "{error}");
    let (code, _, error) = gate("{\n\"added\": 1}");
    assert_eq!(code, 2);
    assert!(
        error.contains("recorded.json: invalid type") && error.contains("line 2"),
        "{error}"
    );
    assert_eq!(run(&["gate", ICOUNT, "--recorded", "none/such.json"]).0, 2);
}

#[test]
fn what_was_recorded_passes() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("recorded.json");
    let (code, text, error) = run(&["gate", UML, ICOUNT, "--recorded", utf8(&path), "--record"]);
    assert_eq!(code, 0, "{error}");
    assert!(
        text.contains("nat-100: recorded -500, before nothing\n"),
        "{text}"
    );
    let recorded: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    let added =
        serde_json::json!({"bystander": 40, "dr-100": -620, "nat-100": -500, "tun-100": -410});
    assert_eq!(
        recorded,
        serde_json::json!({"tolerance_percent": 3, "tolerance_least": 20, "added": added})
    );
    assert_eq!(run(&["gate", ICOUNT, "--recorded", utf8(&path)]).0, 0);
    // Native time says nothing about instructions; recording it would empty the gate.
    let (code, _, error) = run(&["gate", UML, "--recorded", utf8(&path), "--record"]);
    assert_eq!(code, 2);
    assert!(error.contains("bystander: MISSING"), "{error}");
}

#[test]
fn the_json_file_has_medians_and_comparisons() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("results.json");
    assert_eq!(run(&["json", ICOUNT, UML, "-o", utf8(&path)]).0, 0);
    let results: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!(results["meta"][0]["release"], "7.2.12-icount");
    let rows = results["rows"].as_array().unwrap();
    let row = |kernel: &str, name: &str| {
        let found = rows
            .iter()
            .find(|row| row["kernel"] == kernel && row["row"] == name);
        found.unwrap().clone()
    };
    let expected = serde_json::json!({
        "kernel": "uml", "row": "nat-100", "unit": "ns", "flows": 100,
        "baseline": {"row": "forwarding", "median": 468.0},
        "modes": {
            "nftables": {"median": 628.0, "min": 621.7, "max": 634.3, "spread_percent": 2.0064, "rounds": 3,
                "added": 160.0, "ratio_to_bare": 0.7452},
            "ip_vs": {"median": 645.0, "min": 638.5, "max": 651.5, "spread_percent": 2.0155, "rounds": 3,
                "added": 177.0, "ratio_to_bare": 0.7256},
            "ipvs_rs": {"median": 427.0, "min": 422.7, "max": 431.3, "spread_percent": 2.0141, "rounds": 3,
                "added": -41.0, "ratio_to_bare": 1.096, "ratio_to_ip_vs": 1.5105},
        },
    });
    assert_eq!(row("uml", "nat-100"), expected);
    assert_eq!(row("uml", "flows-100")["baseline"]["row"], "flows-100");
    assert_eq!(row("icount", "new-lc-50")["servers"], 50);
    let memory = &results["memory"][0];
    assert_eq!(
        (&memory["unit"], &memory["connections"]),
        (&"bytes".into(), &1_000_000.into())
    );
    assert_eq!(memory["modes"]["ipvs_rs"]["median"], 136.0);
    assert_eq!(memory["modes"]["ipvs_rs"]["entry"], 128);
    assert_eq!(memory["modes"]["ipvs_rs"]["ratio_to_ip_vs"], 2.7941);
}

#[test]
fn rows_without_plots_are_no_error() {
    let folder = TempDir::new().unwrap();
    let all = fs::read_to_string(ICOUNT).unwrap();
    let rows: Vec<&str> = all
        .lines()
        .filter(|line| line.contains(r#""meta""#) || line.contains(r#""forwarding""#))
        .collect();
    let raw = file(&folder, "raw.jsonl", &rows.join("\n"));
    let (code, text, notice) = run(&["plot", utf8(&raw), "-o", utf8(folder.path())]);
    assert_eq!((code, text.as_str()), (0, ""));
    assert!(notice.starts_with("no plots: "), "{notice}");
}

#[test]
fn plots_go_to_a_folder_that_need_not_exist() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a/b");
    let (code, text, _) = run(&["plot", UML, "-o", utf8(&path)]);
    assert_eq!((code, text.lines().count()), (0, 3));
    for line in text.lines() {
        assert!(
            fs::read_to_string(line).unwrap().ends_with("</svg>\n"),
            "{line}"
        );
    }
}

#[test]
fn errors_name_file_and_line() {
    let folder = TempDir::new().unwrap();
    let broken = file(
        &folder,
        "broken",
        "console\n{\"kind\":\"cost\",\"kernel\":\"uml\"}\n",
    );
    let (code, text, error) = run(&["table", UML, utf8(&broken)]);
    assert_eq!((code, text.as_str()), (2, ""));
    let expected = format!(
        "bench-report: {}:2: broken record: missing field `row`",
        broken.display()
    );
    assert!(error.starts_with(&expected), "{error}");

    let (code, _, error) = run(&["table", UML, UML]);
    assert_eq!(code, 2);
    assert!(
        error.contains("round 1 of bare in this row is at tests/fixtures/uml.jsonl:"),
        "{error}"
    );

    let empty = file(&folder, "empty", "console\n");
    let (code, _, error) = run(&["table", utf8(&empty)]);
    assert_eq!(code, 2);
    assert!(error.contains("no measurement in"), "{error}");
}
