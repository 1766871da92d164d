// SPDX-License-Identifier: GPL-2.0-only

//! The manual page, from the same definitions as the options.

use std::io::{self, Write};

use crate::cli::definition;

const DESCRIPTION: &str = "\
lvsadm lists and changes the virtual services of the Linux Virtual Server in the network namespace
in which it runs. It talks to the kernel module that provides the generic netlink family IPVS; when
none is loaded, it loads ipvs_rs. Its options and its text listings are those of ipvsadm(8).
.PP
A virtual service receives connections to an address and port, or packets with a firewall mark, and
spreads them over its real servers. The command refuses what the kernel module does not support, and
names the reason.";

const EXAMPLES: &str = "\
lvsadm -A -t 192.0.2.1:80 -s rr
lvsadm -a -t 192.0.2.1:80 -r 10.0.0.2 -m
lvsadm -a -t 192.0.2.1:80 -r 10.0.0.3 -m -w 2
lvsadm -L -n --stats
lvsadm connections -n -t 192.0.2.1:80 -r 10.0.0.2 --client 198.51.100.0/24
lvsadm -S -n >rules
lvsadm -R <rules";

const FILES: &str = "\
/proc/net/ip_vs_conn   the connections, with the C director";

const ENVIRONMENT: &str = "\
COMPLETE   names the shell that asks for completions: source <(COMPLETE=bash lvsadm)
NO_COLOR   no colors, whatever the terminal";

/// The manual page, in roff.
///
/// # Errors
///
/// None: memory can always be written.
pub fn manual() -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    let mut command = definition::public();
    command.build();
    let page = clap_mangen::Man::new(command.clone()).section("8");
    page.render_title(&mut text)?;
    page.render_name_section(&mut text)?;
    verbatim(
        &mut text,
        "SYNOPSIS",
        &definition::USAGE.replace("\n       ", "\n"),
    )?;
    writeln!(text, ".SH DESCRIPTION\n{}", escaped(DESCRIPTION))?;
    page.render_options_section(&mut text)?;
    subcommands(&mut text, &command)?;
    verbatim(&mut text, "SCHEDULERS", &definition::schedulers())?;
    verbatim(&mut text, "JSON", definition::JSON)?;
    verbatim(&mut text, "EXIT STATUS", definition::EXIT_STATUS)?;
    verbatim(&mut text, "ENVIRONMENT", ENVIRONMENT)?;
    verbatim(&mut text, "EXAMPLES", EXAMPLES)?;
    verbatim(&mut text, "FILES", FILES)?;
    writeln!(text, ".SH SEE ALSO\n.BR ipvsadm (8)")?;
    Ok(text)
}

/// Every subcommand with its own options. Those that name a service are explained above.
fn subcommands(page: &mut Vec<u8>, command: &clap::Command) -> io::Result<()> {
    writeln!(page, ".SH SUBCOMMANDS")?;
    for subcommand in command.get_subcommands() {
        one_subcommand(page, command, subcommand, subcommand.get_name())?;
    }
    Ok(())
}

/// A subcommand with its options, and then those below it.
fn one_subcommand(
    page: &mut Vec<u8>,
    command: &clap::Command,
    subcommand: &clap::Command,
    name: &str,
) -> io::Result<()> {
    let about = subcommand.get_about().map(ToString::to_string);
    writeln!(
        page,
        ".SS lvsadm {}\n{}",
        name,
        escaped(&about.unwrap_or_default())
    )?;
    for arg in subcommand.get_arguments() {
        let known = command
            .get_arguments()
            .any(|other| other.get_id() == arg.get_id() && arg.get_id() != "json");
        if known || arg.get_id() == "help" {
            continue;
        }
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        let name = match arg.get_long() {
            Some(_) => arg.to_string(),
            None => arg.get_id().as_str().to_uppercase(),
        };
        writeln!(page, ".TP\n\\fB{}\\fR\n{}", escaped(&name), escaped(&help))?;
    }
    if let Some(examples) = subcommand.get_after_help() {
        let lines = escaped(&examples.to_string());
        writeln!(page, ".PP\n.nf\n{lines}\n.fi")?;
    }
    for inner in subcommand.get_subcommands() {
        let name = format!("{name} {}", inner.get_name());
        one_subcommand(page, command, inner, &name)?;
    }
    Ok(())
}

/// A section whose lines are not filled.
fn verbatim(page: &mut Vec<u8>, title: &str, lines: &str) -> io::Result<()> {
    writeln!(page, ".SH {title}\n.nf\n{}\n.fi", escaped(lines))
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manual_page_names_every_option_subcommand_and_scheduler() {
        let text = String::from_utf8(manual().unwrap()).unwrap();
        for words in [
            ".TH lvsadm 8",
            "\\-\\-add\\-service",
            "connection_table_size",
            ".SH SYNOPSIS",
        ] {
            assert!(text.contains(words), "{words}");
        }
        for scheduler in crate::model::scheduler::SCHEDULERS {
            assert!(
                text.contains(&escaped(scheduler.when)),
                "{}",
                scheduler.name
            );
            for (flag, _) in scheduler.flags {
                assert!(text.contains(&escaped(flag)), "{flag}");
            }
        }
        for subcommand in definition::public().get_subcommands() {
            let title = format!(".SS lvsadm {}\n", subcommand.get_name());
            assert!(text.contains(&title), "{title}");
            for inner in subcommand.get_subcommands() {
                let name = format!("{} {}", subcommand.get_name(), inner.get_name());
                assert!(text.contains(&format!(".SS lvsadm {name}\n")), "{name}");
            }
            let help = subcommand.get_after_help().unwrap().to_string();
            assert!(help.lines().count() >= 3, "{title} has two examples");
        }
        assert!(!text.contains("\\-\\-manual"), "hidden options stay hidden");
    }
}
