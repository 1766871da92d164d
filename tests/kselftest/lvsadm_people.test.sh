#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# lvsadm's subcommands for people, with traffic: show, describe, diff, apply, set, drain, undrain,
# schedulers; and what it says about commands that are easily mistaken. Only lvsadm has them, so the
# script runs it under either director.
# timeout: 240
# kernel: stock, since it is about texts; edit and netlink do the same to the debug kernel

# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"

unload_all "$IPVS_MODULE"
must module_load "$IPVS_MODULE"
topology_up
client_up client
servers_up A B C
LVSADM=lvsadm

adm() {
	on director lvsadm "$@"
}

# status COMMAND…: prints the exit status.
status() {
	"$@" >"$work/out" 2>&1
	echo $?
}

# state NAME: the last column of a line of show.
state() {
	adm show | awk -v name="$1" 'index($0, name) { sub(/.*[0-9]  +/, ""); print }'
}

# stderr COMMAND…: what it says beside its output.
stderr() {
	{ "$@" >"$work/out"; } 2>&1
}

# --- apply and diff -------------------------------------------------------------------------------

cat >"$work/rules" <<END
-A -t 10.1.0.100:80 -s rr
-a -t 10.1.0.100:80 -r 10.2.0.11:80 -m -w 1
-a -t 10.1.0.100:80 -r 10.2.0.12:80 -m -w 1
-A -t [fd00:0:0:1::100]:80 -s wlc -p 300 -M 64
-a -t [fd00:0:0:1::100]:80 -r [fd00:0:0:2::11]:80 -m -w 2
END
check_eq 'diff: there are differences' "$(status adm diff "$work/rules")" 1
check_eq 'it counts them' "$(tail -n 1 "$work/out")" 'to be added: 5, to be edited: 0, to be deleted: 0'
check_eq 'apply --dry-run succeeds' "$(status adm apply --dry-run "$work/rules")" 0
check_eq 'and changes nothing' "$(adm -S -n)" ''
check_eq 'apply' "$(status adm apply "$work/rules")" 0
check_eq 'diff: there are none' "$(status adm diff "$work/rules")" 0
check_eq 'it says so' "$(cat "$work/out")" 'no differences'
check_eq 'the rules that -S prints are the same table' "$(adm -S -n | on director lvsadm diff --prune -)" 'no differences'
check_eq 'so is the JSON of -L' "$(adm -L --json | on director lvsadm diff --prune -)" 'no differences'
check_eq 'a wrong file: status 2' "$(echo bogus >"$work/bogus"; status adm diff "$work/bogus")" 2
check_match 'it names the line' "$(cat "$work/out")" 'lvsadm: line 1: bogus: .*'
check_eq 'no file: status 2' "$(status adm diff "$work/absent")" 2

check_eq 'connections' "$(client hold kept tcp 10.1.0.100 80 2 | tr ' ' '\n' | sort | xargs)" 'A B'
client close kept B >/dev/null
cat >"$work/other" <<END
-A -t 10.1.0.100:80 -s wrr
-a -t 10.1.0.100:80 -r 10.2.0.11:80 -m -w 3
-a -t 10.1.0.100:80 -r 10.2.0.13:80 -m -w 1
-A -t 10.1.0.101:80 -s rr
END
check_eq 'another table' "$(adm apply "$work/other" | tail -n 1)" \
	'added: 2, edited: 2, deleted: 1; not in the file and left alone: 1 (--prune deletes them)'
check_eq 'the connection of the server that stays survives' "$(client again kept)" 'A'
check_eq 'the rest is deleted with --prune' "$(adm apply --prune "$work/other")" \
	$'- -A -t [fd00:0:0:1::100]:80 -s wlc -p 300 -M 64\nadded: 0, edited: 0, deleted: 1'
before=$(adm -S -n)
echo '-A -t 10.1.0.102:80 -s nosuch' >>"$work/other"
echo '-a -t 10.1.0.101:80 -r 10.2.0.11:80 -m' >>"$work/other"
check_eq 'a file with a scheduler that does not exist is refused' "$(status adm apply "$work/other")" 1
check_match 'the message tells what, and that nothing happened' "$(tail -n 1 "$work/out")" \
	'lvsadm: .*no scheduler "nosuch".*; nothing was changed'
check_eq 'nothing did' "$(adm -S -n)" "$before"
check_eq 'diff --json' "$(adm diff --json "$work/rules" | jq -c '[.same, .applied, .added, .edited, .deleted]')" \
	'[false,false,3,2,1]'
client close kept >/dev/null

# --- show and describe ----------------------------------------------------------------------------

flush
must adm apply "$work/rules"
must adm -a -t 10.1.0.100:80 -r 10.2.0.13 -m -w 0
must adm -a -t 10.1.0.100:80 -r 192.0.2.9 -m -w 1 -x 5
must on director ip route add unreachable 192.0.2.9
check_eq 'show: the last column is aligned whatever the family' "$(adm show | awk '
	NR == 1 { column = index($0, "STATE"); next }
	substr($0, column - 1, 2) !~ /^ [A-Z]/ { print }')" ''
check_eq 'a server that serves' "$(state 10.2.0.11:80)" OK
check_eq 'one of weight 0' "$(state 10.2.0.13:80)" DRAINED
check_eq 'one without a route' "$(state 192.0.2.9:80)" 'NO ROUTE'
check_eq 'a service with such servers' "$(state 'TCP 10.1.0.100:80')" DEGRADED
check_eq 'no colors in a pipe' "$(adm show | grep -c $'\e')" 0
check_eq 'one service by address' "$(adm show '[fd00:0:0:1::100]:80' | grep -c TCP)" 1
check_eq 'one that does not exist: status 1' "$(status adm show 10.1.0.99:80)" 1
check_match 'describe: the scheduler' "$(adm describe 10.1.0.100:80 | grep ^Scheduler)" 'Scheduler: +rr, each in turn'
check_match 'persistence' "$(adm describe -t '[fd00:0:0:1::100]:80' | grep ^Pers)" 'Persistence: 300 s, netmask 64'
check_match 'a warning' "$(adm describe 10.1.0.100:80 | grep ^Warn)" 'Warning: there is no route to the server 192.0.2.9:80: .*'
must adm -A -t 10.9.9.9:80
check_match 'an address of another host' "$(adm describe 10.9.9.9:80 | grep 10.9.9.9 | tail -n 1)" \
	'Warning: the virtual address 10.9.9.9 is not an address of this host.*'
check_eq 'JSON' "$(adm show --json | jq -r '[.services[] | select(.address == "10.1.0.100") | .state, .servers[].state] | sort | join(" ")')" \
	'degraded drained no_route ok ok'

# --- set, and what edits reset --------------------------------------------------------------------

must adm -E -t '[fd00:0:0:1::100]:80' -s wlc -p 300 -M 64
must adm set -t '[fd00:0:0:1::100]:80' -s rr
check_eq 'set: the scheduler alone' "$(adm -S -n | grep 'A -t .fd00')" '-A -t [fd00:0:0:1::100]:80 -s rr -p 300 -M 64'
must adm set -t 10.1.0.100:80 -r 192.0.2.9 -w 7
check_eq 'set: the weight alone' "$(adm -S -n | grep 192.0.2.9)" '-a -t 10.1.0.100:80 -r 192.0.2.9:80 -m -w 7 -x 5'
check_match '-e names what it resets' "$(stderr adm -e -t 10.1.0.100:80 -r 192.0.2.9 -m -w 2)" \
	'lvsadm: note: this resets the upper threshold from 5 to 0; .*'
check_match '-E too' "$(stderr adm -E -t '[fd00:0:0:1::100]:80' -s rr)" \
	'lvsadm: note: this resets persistence from 300 s to none; .*'
check_eq 'no note when nothing is reset' "$(stderr adm -e -t 10.1.0.100:80 -r 192.0.2.9 -m -w 3)" ''
must adm -A -u 10.1.0.100:53 -o
check_match 'one-packet scheduling with NAT is remarked' "$(stderr adm -a -u 10.1.0.100:53 -r 10.2.0.11 -m)" \
	'lvsadm: note: one-packet scheduling .*NAT.*'
check_eq 'a third flag is not lost' "$(adm -A -t 10.1.0.103:1 -s sh -b flag-3; adm -S -n | grep ':1 ')" \
	'-A -t 10.1.0.103:1 -s sh -b flag-3'
check_fails 'a forgotten port' '10.1.0.103 has no port: write' adm -A -t 10.1.0.103

# --- drain ----------------------------------------------------------------------------------------

flush
service -t 10.1.0.100:80 rr -- A:m:5 B:m:1
service -t 10.1.0.101:80 rr -- A:m:2
check_eq 'a connection to A' "$(client hold kept tcp 10.1.0.101 80)" A
check_eq 'drain without waiting' "$(status adm drain -r 10.2.0.11)" 0
check_eq 'A gets nothing new' "$(client get tcp 10.1.0.100 80 3)" 'B B B'
check_eq 'show names it' "$(adm show 10.1.0.101:80 | awk '/10.2.0.11/ { print $NF }')" DRAINING
check_eq 'the time is over: status 3' "$(status adm drain -r 10.2.0.11 -t 10.1.0.101:80 --wait 1s --then delete)" 3
check_match 'the progress' "$(head -n 1 "$work/out")" 'lvsadm: 1 active, 0 inactive, 0 persistent connections'
check_eq 'it is still there' "$(adm -S -n | grep -c 10.2.0.11)" 2
check_eq 'undrain: the former weights' \
	"$(adm undrain -r 10.2.0.11 >/dev/null; adm -S -n | awk '/10.2.0.11/ { print $NF }' | xargs)" '5 2'
client close kept >/dev/null
must adm --set 900 1 300
check_eq 'drain, wait, and delete' "$(status adm drain -r 10.2.0.11 -t 10.1.0.100:80 --wait 5m --then delete)" 0
check_match 'it says so' "$(tail -n 1 "$work/out")" 'TCP 10.1.0.100:80 -> 10.2.0.11:80: weight 0 \(was 5\), .*, deleted'
check_eq 'it is gone there' "$(adm -S -n | grep -c '100:80 -r 10.2.0.11')" 0
check_eq 'JSON' "$(adm drain --json -r 10.2.0.11 | jq -c '[.timed_out, (.servers[] | .former_weight, .weight)]')" '[false,2,0]'
check_fails 'a server that nobody has' 'no service has a server 10.2.0.99' adm drain -r 10.2.0.99

# --- doctor, metrics, top -------------------------------------------------------------------------

flush
service -t 10.1.0.100:80 rr -- A:m:1 B:m:1
must client get tcp 10.1.0.100 80 4
check_eq 'doctor: nothing fails' "$(status adm doctor)" 0
check_eq 'a check that passes' "$(adm doctor --json | jq -r '.checks[] | select(.check == "routes") | .status')" PASS
must on director sysctl -qw net.ipv4.ip_forward=0
check_eq 'doctor: no forwarding: status 1' "$(status adm doctor)" 1
check_eq 'it tells what mends it' "$(grep -A1 '^FAIL' "$work/out" | tail -n 1 | xargs)" '-> sysctl net.ipv4.ip_forward=1'
must on director sysctl -qw net.ipv4.ip_forward=1
must on director nft 'table ip early { chain pre { type filter hook prerouting priority -150; ct state invalid drop; }; }'
check_match 'a rule that breaks NAT' "$(adm doctor | grep '^FAIL')" 'FAIL  firewall .*ip early pre \(priority -150\).*'
must on director nft delete table ip early
must adm -a -t 10.1.0.100:80 -r 10.3.0.11 -g
check_match 'direct routing through a router' "$(adm doctor | grep '^FAIL')" 'FAIL  direct-routing .*10.3.0.11:80.*'
must adm -d -t 10.1.0.100:80 -r 10.3.0.11
check_eq 'metrics: connections of a service' \
	"$(adm metrics | awk '/^lvs_service_connections_total/ { print $NF }')" 4
check_eq 'metrics: the end' "$(adm metrics | tail -n 1)" '# EOF'
# Not by `on`: that would be a shell of its own, with another process id.
nsenter --net=/run/netns/director lvsadm metrics --listen 127.0.0.1:9750 2>"$work/served" &
metrics=$!
check_soon 'metrics over HTTP' 2 on director sh -c 'curl -s http://127.0.0.1:9750/metrics | grep -c ^lvs_server_weight'
kill $metrics
check_match 'top --once' "$(adm top --once | grep 10.2.0.11:80 | xargs)" '10.2.0.11:80 NAT 1 .* OK'

# --- schedulers, completion, names ----------------------------------------------------------------

check_eq 'schedulers: rr is loaded' "$(adm schedulers | awk '$1 == "rr" { print $2 }')" yes
check_eq 'schedulers --json' "$(adm schedulers --json | jq -r '.schedulers[] | select(.name == "mh") | .flags | join(" ")')" \
	'mh-fallback mh-port'
service -t 10.1.0.101:80 rr -- A:m:2 B:m:1
complete() { # WORD…: what the shell would offer for the last word
	COMPLETE=bash _CLAP_IFS=$'\n' _CLAP_COMPLETE_INDEX=$(($# - 1)) adm -- "$@" | sort | xargs
}
check_eq 'completion offers services' "$(complete lvsadm -D -t '')" '10.1.0.100:80 10.1.0.101:80'
check_eq 'and servers' "$(complete lvsadm -d -t 10.1.0.101:80 -r '')" '10.2.0.11:80 10.2.0.12:80'
check_eq 'and schedulers' "$(complete lvsadm -A -s lbl)" 'lblc lblcr'

# A name server that nobody answers for. The listing is there at once but for names, all of which
# share one deadline.
for server in 21 22 23 24 25 26; do must adm -a -t 10.1.0.101:80 -r "10.2.0.$server" -m; done
must touch /etc/resolv.conf
cp --remove-destination "$(readlink -f /etc/resolv.conf)" "$work/resolv.conf"
echo 'nameserver 10.1.0.250' >/etc/resolv.conf
on director timeout $((30 * TIME_SCALE)) lvsadm -L >"$work/listed" 2>"$work/notes"
listed=$?
cat "$work/resolv.conf" >/etc/resolv.conf
check_eq 'a listing with a dead name server ends' "$listed" 0
check_eq 'it has all servers' "$(grep -c '^  -> 10.2.0' "$work/listed")" 10
check_match 'it says that names are missing' "$(cat "$work/notes")" 'lvsadm: note: the resolver did not answer in time for .*'
finish
