// SPDX-License-Identifier: GPL-2.0-only

//! Hints for mistakes that clap reports but cannot explain.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};

/// What is wrong and what to write instead, when clap's own words would not help.
pub(super) fn about(
    error: &clap::Error,
    arguments: &[OsString],
    definition: &clap::Command,
) -> Option<String> {
    let word = match error.kind() {
        ErrorKind::UnknownArgument => text(error, ContextKind::InvalidArg)?,
        ErrorKind::InvalidSubcommand => text(error, ContextKind::InvalidSubcommand)?,
        // Options stand before the word: --list connections, --add-service 10.0.0.1:80.
        ErrorKind::ArgumentConflict => {
            let word = text(error, ContextKind::InvalidSubcommand)?;
            if definition.find_subcommand(word).is_some() {
                return Some(format!("{word} must be the first word, before all options"));
            }
            word
        }
        _ => return None,
    };
    if let Some(similar) = suggestion(error) {
        return Some(format!("there is no {word:?}; did you mean {similar}?"));
    }
    if word.starts_with('-') {
        return Some(format!("there is no option {word:?}"));
    }
    let restores = |argument: &OsString| argument == "-R" || argument == "--restore";
    Some(if arguments.iter().any(restores) {
        format!("unexpected {word:?}: -R reads standard input, as in lvsadm -R <{word}")
    } else if looks_like_endpoint(word) {
        format!(
            "unexpected {word:?}: put -t (TCP), -u (UDP) or --sctp-service before a virtual \
             service, -r before a real server"
        )
    } else {
        format!("unexpected {word:?}: it is neither an option nor a subcommand")
    })
}

fn text(error: &clap::Error, kind: ContextKind) -> Option<&str> {
    match error.get(kind)? {
        ContextValue::String(text) => Some(text),
        _ => None,
    }
}

/// The option or subcommand that is spelled almost like this.
fn suggestion(error: &clap::Error) -> Option<String> {
    [ContextKind::SuggestedArg, ContextKind::SuggestedSubcommand]
        .into_iter()
        .find_map(|kind| match error.get(kind)? {
            ContextValue::String(text) => Some(text.clone()),
            ContextValue::Strings(texts) if !texts.is_empty() => Some(texts.join(" or ")),
            _ => None,
        })
}

fn looks_like_endpoint(word: &str) -> bool {
    let host = word.rsplit_once(':').map_or(word, |(host, _)| host);
    word.starts_with('[')
        || host.parse::<std::net::IpAddr>().is_ok()
        || word.parse::<std::net::IpAddr>().is_ok()
        || (word.contains(':') && !host.is_empty())
}
