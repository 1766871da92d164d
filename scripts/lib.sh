# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Shared by all scripts here: the cache, its products, long steps with progress, messages. A
# function belongs here if two scripts need it. Knowledge of one product belongs in that product's
# script.

set -euo pipefail

SCRIPTS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck disable=SC2034 # for the scripts that read this
TOP=$(dirname "$SCRIPTS")
CACHE=${IPVS_RS_CACHE:-${XDG_CACHE_HOME:-${HOME-}/.cache}/ipvs_rs}
KERNEL_SERIES=${KERNEL_SERIES:-7.2}
# shellcheck disable=SC2034 # likewise
SUITE=trixie
export LC_ALL=C

msg() { printf '%s\n' "$*" >&2; }
die() { msg "error: $*"; exit 1; }

# Any script may be the first one to run on a machine, so every script creates the cache.
advice='set IPVS_RS_CACHE to a directory that you can write to and that has 5 GB free'
if [ -z "${IPVS_RS_CACHE-}${XDG_CACHE_HOME-}" ] && [ ! -d "${HOME-}" ]; then
	die "HOME='${HOME-}' is not a directory, so there is no place for the cache: $advice"
fi
mkdir -p "$CACHE/logs" 2>/dev/null || die "cannot make the cache directory $CACHE: $advice"
if [ ! -w "$CACHE" ] || [ ! -w "$CACHE/logs" ]; then die "cannot write to the cache directory $CACHE: $advice"; fi

# All scripts that one command starts belong to one run.
export IPVS_RS_RUN=${IPVS_RS_RUN:-$$}

# key: prints twelve characters that identify the content of standard input.
key() { sha256sum | cut -c1-12; }

# spawn CMD...: runs the command in the background, with its process ID in $spawned. It ends with
# this script: an interrupted build must not continue and write under a name that the next run uses,
# too.
SPAWNED=()
spawn() {
	set -m # a process group of its own, and one that can be interrupted
	"$@" &
	spawned=$!
	set +m
	SPAWNED+=("$spawned")
	trap 'kill -TERM -- "${SPAWNED[@]/#/-}" 2>/dev/null; exit 130' INT TERM
}

# with_lock FILE CMD...: runs one command at a time across processes. The file names the run that
# holds the lock. A message tells when this run waits for another run, but not when its own parts
# wait for each other.
# shellcheck disable=SC2094 # the file is read while it is open
with_lock() {
	local lock=$1
	shift
	(
		if ! flock -n 9; then
			[ "$(cat "$lock")" = "$IPVS_RS_RUN" ] || msg "waiting for another run of make (lock: $lock)"
			flock 9
		fi
		echo "$IPVS_RS_RUN" >"$lock"
		"$@" 9>&-
	) 9>>"$lock"
}

# product PATH CMD...: makes PATH once. CMD gets a temporary name to build under. The name is
# changed when CMD has succeeded, so an interrupted step leaves nothing that looks complete.
product() {
	[ ! -e "$1" ] || return 0
	mkdir -p "$(dirname "$1")"
	with_lock "$1.lock" make_product "$@"
}
make_product() {
	local out=$1
	shift
	[ ! -e "$out" ] || return 0
	remove_tree "$out.tmp"
	"$@" "$out.tmp" || return
	mv -T "$out.tmp" "$out"
}

# remove_tree PATH: also removes files that belong to IDs of a user namespace.
remove_tree() {
	[ -e "$1" ] || return 0
	if [ "$(id -u)" = 0 ]; then rm -rf -- "$1"; else "$SCRIPTS/in-root" / rm -rf -- "$1"; fi
}

logged() { # LOG CMD...
	local log=$1
	shift
	"$@" >"$log" 2>&1 </dev/null
}

# bind_cargo: sets the array cargo_binds to arguments of in-root for a root where cargo runs: its
# downloads, and the machine's certificates, which may have an additional one for a proxy.
bind_cargo() {
	local certificates=/etc/ssl/certs/ca-certificates.crt
	mkdir -p "$CACHE/cargo-home"
	cargo_binds=(-b "$CACHE/cargo-home" /root/.cargo)
	[ ! -f "$certificates" ] || cargo_binds+=(-b "$certificates" "$certificates")
}

# build_programs NAME...: builds programs of the workspace with the libraries of the host tests. For
# one package alone, or without a test or an example, cargo would build libraries with other
# features.
build_programs() { "$SCRIPTS/cargo" build --workspace --locked "${@/#/--bin=}" --example without_director; }
# build_program NAME PROFILE: builds a program of the workspace. With the profile dev, it is that of
# the host tests; with another, it is for others.
build_program() {
	if [ "$2" = dev ]; then build_programs "$1"; else RUSTFLAGS='' "$SCRIPTS/cargo" build --profile "$2" --locked -p "$1"; fi
}

# child_seconds FILE: sets $seconds to the time that processors have spent on what this shell has
# started and waited for. The file is for its use.
child_seconds() {
	times >"$1"
	seconds=$(awk -F '[ms ]+' 'NR == 2 { printf "%d", 60 * $1 + $2 + 60 * $3 + $4 }' "$1")
}

# step LABEL SECONDS CMD...: runs CMD with its output in a log file, shows its progress and the
# expected time, and on failure the end of the log. In the end it tells how long CMD took, and how
# long processors worked for it.
step() {
	local label=$1 estimate=$2 log start pid now rc=0 every=1 line told=0 seconds before
	shift 2
	mkdir -p "$CACHE/logs"
	log=$CACHE/logs/$(printf '%s' "$label" | tr -cs 'A-Za-z0-9._' -).$$.log
	start=$SECONDS
	child_seconds "$log.times"
	before=$seconds
	local tty=0
	[ -t 2 ] && [ -z "${STEP_PLAIN-}" ] && tty=1
	[ $tty = 1 ] || every=30
	spawn logged "$log" "$@"
	pid=$spawned
	now=$start
	while kill -0 "$pid" 2>/dev/null; do
		sleep 0.1
		# A short step needs no line.
		if [ $tty$told = 00 ] && [ $((SECONDS - start)) -ge 2 ]; then
			msg "[....] $label (about $estimate s)"
			told=1
		fi
		[ $((SECONDS - now)) -ge $every ] || continue
		now=$SECONDS
		if [ $tty = 1 ]; then
			line=$(tail -c 300 "$log" | tr '\r\t' '\n ' | tail -n 1)
			printf '\r\033[K[%3d s of about %d s] %s: %.40s' $((now - start)) "$estimate" "$label" "$line" >&2
		else
			msg "[....] $label: $((now - start)) s of about $estimate s"
		fi
	done
	wait "$pid" || rc=$?
	[ $tty = 0 ] || printf '\r\033[K' >&2
	child_seconds "$log.times"
	rm -f "$log.times"
	if [ $rc = 0 ]; then
		[ $((SECONDS - start)) -lt 2 ] || msg "[ ok ] $label ($((SECONDS - start)) s, processors $((seconds - before)) s)"
		mv -f "$log" "${log%."$$".log}.log"
	else
		msg "[FAIL] $label after $((SECONDS - start)) s; the end of $log:"
		tail -n "${STEP_TAIL:-40}" "$log" | sed 's#/usr/src/ipvs_rs/##g' >&2
	fi
	return $rc
}

# parallel CMD... --- CMD...: runs the commands at once. Fails if any fails, after all have ended.
parallel() {
	local cmd=() pids=() pid rc=0 word
	for word in "$@" ---; do
		if [ "$word" = --- ]; then
			[ ${#cmd[@]} = 0 ] || { STEP_PLAIN=1 spawn "${cmd[@]}"; pids+=("$spawned"); }
			cmd=()
		else
			cmd+=("$word")
		fi
	done
	for pid in "${pids[@]}"; do wait "$pid" || rc=$?; done
	return $rc
}
