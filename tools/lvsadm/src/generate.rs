// SPDX-License-Identifier: GPL-2.0-only

//! Shell completions and the manual page, from the same definitions as the options.

use std::io::{self, Write};

use clap_complete::Shell;

use crate::cli::options;

const DESCRIPTION: &str = "\
lvsadm lists and changes the virtual services of the Linux Virtual Server in the network namespace
it runs in. It speaks to whichever kernel module provides the generic netlink family IPVS; when none
does, it tries to load ipvs_rs. Its options and its text listings are those of ipvsadm(8).
.PP
A virtual service takes connections to an address and port, or those whose packets carry a firewall
mark, and spreads them over its real servers. What the kernel module does not offer is refused with
a message that says so.";

const EXAMPLES: &str = "\
lvsadm -A -t 192.0.2.1:80 -s rr
lvsadm -a -t 192.0.2.1:80 -r 10.0.0.2 -m
lvsadm -a -t 192.0.2.1:80 -r 10.0.0.3 -m -w 2
lvsadm -L -n --stats
lvsadm connections -n -t 192.0.2.1:80 -r 10.0.0.2 --client 198.51.100.0/24
lvsadm -S -n > rules
lvsadm -R < rules";

const FILES: &str = "\
/proc/net/ip_vs_conn   the connections, of a module that cannot be asked for them
/etc/services          names of ports";

/// A shell's completions.
#[must_use]
pub fn completions(shell: Shell) -> Vec<u8> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut options::public(), "lvsadm", &mut text);
    text
}

/// The manual page, in roff.
///
/// # Errors
///
/// None that a memory buffer could raise.
pub fn manual() -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    let page = clap_mangen::Man::new(options::public()).section("8");
    page.render_title(&mut text)?;
    page.render_name_section(&mut text)?;
    verbatim(
        &mut text,
        "SYNOPSIS",
        &options::USAGE.replace("\n       ", "\n"),
    )?;
    writeln!(text, ".SH DESCRIPTION\n{}", escaped(DESCRIPTION))?;
    page.render_options_section(&mut text)?;
    verbatim(&mut text, "JSON", options::JSON)?;
    verbatim(&mut text, "EXIT STATUS", options::EXIT_STATUS)?;
    verbatim(&mut text, "EXAMPLES", EXAMPLES)?;
    verbatim(&mut text, "FILES", FILES)?;
    writeln!(text, ".SH SEE ALSO\n.BR ipvsadm (8)")?;
    Ok(text)
}

/// A section whose lines stand as they are.
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
    fn completions_and_manual_know_the_options() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let text = String::from_utf8(completions(shell)).unwrap();
            assert!(text.contains("add-service"), "{shell}");
            assert!(!text.contains("manual"), "{shell} completes what is hidden");
        }
        let text = String::from_utf8(manual().unwrap()).unwrap();
        for words in [
            ".TH lvsadm 8",
            "\\-\\-add\\-service",
            "connection_table_size",
            ".SH SYNOPSIS",
        ] {
            assert!(text.contains(words), "{words}");
        }
    }
}
