#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# lvsadm's subcommands for people, with traffic: show, describe, diff, apply, set, drain, undrain,
# schedulers; and its notes about commands that are easily mistaken. Only lvsadm has them, so the
# script uses lvsadm with either director.
# timeout: 240
# check: debug, because texts do not depend on the kernel

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

# status COMMAND…: runs the command and prints its exit status.
status() {
	"$@" >"$work/out" 2>&1
	echo $?
}

# state NAME: prints the last column of a line of show.
state() {
	adm show | awk -v name="$1" 'index($0, name) { sub(/.*[0-9]  +/, ""); print }'
}

# stderr COMMAND…: prints the command's standard error.
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
check_eq 'diff exits with 1 when there are differences' "$(status adm diff "$work/rules")" 1
check_eq 'diff counts the differences' "$(tail -n 1 "$work/out")" 'to be added: 5, to be edited: 0, to be deleted: 0'
check_eq 'apply --dry-run succeeds' "$(status adm apply --dry-run "$work/rules")" 0
check_eq 'apply --dry-run changes nothing' "$(adm -S -n)" ''
check_eq 'apply succeeds' "$(status adm apply "$work/rules")" 0
check_eq 'diff exits with 0 after apply' "$(status adm diff "$work/rules")" 0
check_eq 'diff reports no differences after apply' "$(cat "$work/out")" 'no differences'
check_eq 'diff accepts the output of -S' "$(adm -S -n | on director lvsadm diff --prune -)" 'no differences'
check_eq 'diff accepts the JSON output of -L' "$(adm -L --json | on director lvsadm diff --prune -)" 'no differences'
check_eq 'diff exits with 2 for an invalid file' "$(echo bogus >"$work/bogus"; status adm diff "$work/bogus")" 2
check_match 'the error names the invalid line' "$(cat "$work/out")" 'lvsadm: line 1: bogus: .*'
check_eq 'diff exits with 2 when the file does not exist' "$(status adm diff "$work/absent")" 2

check_eq 'an applied service serves' "$(client hold kept tcp 10.1.0.100 80 2 | tr ' ' '\n' | sort | xargs)" 'A B'
client close kept B >/dev/null
cat >"$work/other" <<END
-A -t 10.1.0.100:80 -s wrr
-a -t 10.1.0.100:80 -r 10.2.0.11:80 -m -w 3
-a -t 10.1.0.100:80 -r 10.2.0.13:80 -m -w 1
-A -t 10.1.0.101:80 -s rr
END
check_eq 'apply of another table reports its changes' "$(adm apply "$work/other" | tail -n 1)" \
	'added: 2, edited: 2, deleted: 1; not in the file and left alone: 1 (--prune deletes them)'
check_eq 'connections to a remaining server continue after apply' "$(client again kept)" 'A'
check_eq 'apply --prune deletes the rest' "$(adm apply --prune "$work/other")" \
	$'- -A -t [fd00:0:0:1::100]:80 -s wlc -p 300 -M 64\nadded: 0, edited: 0, deleted: 1'
before=$(adm -S -n)
echo '-A -t 10.1.0.102:80 -s nosuch' >>"$work/other"
echo '-a -t 10.1.0.101:80 -r 10.2.0.11:80 -m' >>"$work/other"
check_eq 'apply refuses an unknown scheduler' "$(status adm apply "$work/other")" 1
check_match 'the error of a refused apply reports that nothing changed' "$(tail -n 1 "$work/out")" \
	'lvsadm: .*no scheduler "nosuch".*; nothing was changed'
check_eq 'a refused apply changes nothing' "$(adm -S -n)" "$before"
check_eq 'diff --json counts the differences' "$(adm diff --json "$work/rules" | jq -c '[.same, .applied, .added, .edited, .deleted]')" \
	'[false,false,3,2,1]'
client close kept >/dev/null

# --- show and describe ----------------------------------------------------------------------------

flush
must adm apply "$work/rules"
must adm -a -t 10.1.0.100:80 -r 10.2.0.13 -m -w 0
must adm -a -t 10.1.0.100:80 -r 192.0.2.9 -m -w 1 -x 5
must on director ip route add unreachable 192.0.2.9
check_eq 'show aligns the last column for both families' "$(adm show | awk '
	NR == 1 { column = index($0, "STATE"); next }
	substr($0, column - 1, 2) !~ /^ [A-Z]/ { print }')" ''
check_eq 'show: a serving server is OK' "$(state 10.2.0.11:80)" OK
check_eq 'show: a server of weight 0 is DRAINED' "$(state 10.2.0.13:80)" DRAINED
check_eq 'show: a server without a route is NO ROUTE' "$(state 192.0.2.9:80)" 'NO ROUTE'
check_eq 'show: a service with such servers is DEGRADED' "$(state 'TCP 10.1.0.100:80')" DEGRADED
check_eq 'show prints no colors to a pipe' "$(adm show | grep -c $'\e')" 0
terminal() { on director env "$@" script -qec 'lvsadm show' /dev/null; }
check 'show prints colors on a terminal' test "$(terminal TERM=xterm | grep -c $'\e\[')" -gt 0
check_eq 'show prints no colors on a terminal with NO_COLOR' "$(terminal TERM=xterm NO_COLOR=1 | grep -c $'\e\[')" 0
check_eq 'show prints one service by address' "$(adm show '[fd00:0:0:1::100]:80' | grep -c TCP)" 1
check_eq 'show exits with 1 for an absent service' "$(status adm show 10.1.0.99:80)" 1
check_match 'describe explains the scheduler' "$(adm describe 10.1.0.100:80 | grep ^Scheduler)" 'Scheduler: +rr, each in turn'
check_match 'describe prints the persistence' "$(adm describe -t '[fd00:0:0:1::100]:80' | grep ^Pers)" 'Persistence: 300 s, netmask 64'
check_match 'describe warns about a server without a route' "$(adm describe 10.1.0.100:80 | grep ^Warn)" 'Warning: there is no route to the server 192.0.2.9:80: .*'
must adm -A -t 10.9.9.9:80
check_match 'describe warns about an address of another host' "$(adm describe 10.9.9.9:80 | grep 10.9.9.9 | tail -n 1)" \
	'Warning: the virtual address 10.9.9.9 is not an address of this host.*'
check_eq 'show --json prints the states' "$(adm show --json | jq -r '[.services[] | select(.address == "10.1.0.100") | .state, .servers[].state] | sort | join(" ")')" \
	'degraded drained no_route ok ok'

# --- set, and notes about edits -------------------------------------------------------------------

must adm -E -t '[fd00:0:0:1::100]:80' -s wlc -p 300 -M 64
must adm set -t '[fd00:0:0:1::100]:80' -s rr
check_eq 'set changes only the scheduler' "$(adm -S -n | grep 'A -t .fd00')" '-A -t [fd00:0:0:1::100]:80 -s rr -p 300 -M 64'
check_eq 'set --json prints the rules before and after' \
	"$(adm set --json -t 10.1.0.100:80 -r 192.0.2.9 -w 7 | jq -r '.server, (.before, .after | capture("-w (?<w>[0-9]+)") | .w)' | xargs)" \
	'192.0.2.9:80 1 7'
check_eq 'set changes only the weight' "$(adm -S -n | grep 192.0.2.9)" '-a -t 10.1.0.100:80 -r 192.0.2.9:80 -m -w 7 -x 5'
check_match '-e warns about the values that it resets' "$(stderr adm -e -t 10.1.0.100:80 -r 192.0.2.9 -m -w 2)" \
	'lvsadm: note: this resets the upper threshold from 5 to 0; .*'
check_match '-E warns about the values that it resets' "$(stderr adm -E -t '[fd00:0:0:1::100]:80' -s rr)" \
	'lvsadm: note: this resets persistence from 300 s to none; .*'
check_eq '-e prints no note when it resets nothing' "$(stderr adm -e -t 10.1.0.100:80 -r 192.0.2.9 -m -w 3)" ''
must adm -A -u 10.1.0.100:53 -o
check_match '-a warns about one-packet scheduling with NAT' "$(stderr adm -a -u 10.1.0.100:53 -r 10.2.0.11 -m)" \
	'lvsadm: note: one-packet scheduling .*NAT.*'
check_eq '-S prints an unnamed scheduler flag' "$(adm -A -t 10.1.0.103:1 -s sh -b flag-3; adm -S -n | grep ':1 ')" \
	'-A -t 10.1.0.103:1 -s sh -b flag-3'
check_fails '-A suggests a port when none is given' '10.1.0.103 has no port: write' adm -A -t 10.1.0.103

# --- drain ----------------------------------------------------------------------------------------

flush
service -t 10.1.0.100:80 rr -- A:m:5 B:m:1
service -t 10.1.0.101:80 rr -- A:m:2
check_eq 'A serves a connection before the drain' "$(client hold kept tcp 10.1.0.101 80)" A
check_eq 'drain succeeds without waiting' "$(status adm drain -r 10.2.0.11)" 0
check_eq 'a drained server gets no new connections' "$(client get tcp 10.1.0.100 80 3)" 'B B B'
check_eq 'show: a server with open connections is DRAINING' "$(adm show 10.1.0.101:80 | awk '/10.2.0.11/ { print $NF }')" DRAINING
check_eq 'drain --wait exits with 3 when the time is over' "$(status adm drain -r 10.2.0.11 -t 10.1.0.101:80 --wait 1s --then delete)" 3
check_match 'drain --wait prints the progress' "$(head -n 1 "$work/out")" 'lvsadm: 1 active, 0 inactive, 0 persistent connections'
check_eq 'drain --wait keeps the server when the time is over' "$(adm -S -n | grep -c 10.2.0.11)" 2
check_eq 'undrain restores the former weights' \
	"$(adm undrain -r 10.2.0.11 >/dev/null; adm -S -n | awk '/10.2.0.11/ { print $NF }' | xargs)" '5 2'
client close kept >/dev/null
must adm --set 900 1 300
check_eq 'drain --wait --then delete succeeds' "$(status adm drain -r 10.2.0.11 -t 10.1.0.100:80 --wait 5m --then delete)" 0
check_match 'drain reports the deletion' "$(tail -n 1 "$work/out")" 'TCP 10.1.0.100:80 -> 10.2.0.11:80: weight 0 \(was 5\), .*, deleted'
check_eq 'drain deletes the server from the service' "$(adm -S -n | grep -c '100:80 -r 10.2.0.11')" 0
check_eq 'drain --json prints the weights' "$(adm drain --json -r 10.2.0.11 | jq -c '[.timed_out, (.servers[] | .former_weight, .weight)]')" '[false,2,0]'
check_fails 'drain refuses a server that no service has' 'no service has a server 10.2.0.99' adm drain -r 10.2.0.99

# --- doctor, metrics, top -------------------------------------------------------------------------

flush
service -t 10.1.0.100:80 rr -- A:m:1 B:m:1
must client get tcp 10.1.0.100 80 4
check_eq 'doctor exits with 0 when nothing fails' "$(status adm doctor)" 0
check_eq 'doctor reports a check that passes' "$(adm doctor --json | jq -r '.checks[] | select(.check == "routes") | .status')" PASS
must on director sysctl -qw net.ipv4.ip_forward=0
check_eq 'doctor exits with 1 when forwarding is off' "$(status adm doctor)" 1
check_eq 'doctor prints the command that turns forwarding on' "$(grep -A1 '^FAIL' "$work/out" | tail -n 1 | xargs)" '-> sysctl net.ipv4.ip_forward=1'
must on director sysctl -qw net.ipv4.ip_forward=1
must on director nft 'table ip early { chain pre { type filter hook prerouting priority -150; ct state invalid drop; }; }'
check_match 'doctor finds a rule that breaks NAT' "$(adm doctor | grep '^FAIL')" 'FAIL  firewall .*ip early pre \(priority -150\).*'
must on director nft delete table ip early
must adm -a -t 10.1.0.100:80 -r 10.3.0.11 -g
check_match 'doctor finds a DR server behind a router' "$(adm doctor | grep '^FAIL')" 'FAIL  direct-routing .*10.3.0.11:80.*'
must adm -d -t 10.1.0.100:80 -r 10.3.0.11
# A's replies to clients take another way: they are lost.
flush
service -t 10.1.0.100:80 rr -- A:m:1
service -u 10.1.0.100:80 rr -- A:m:1
must on A nft 'table ip lost { chain out { type filter hook output priority 0; ip daddr 10.0.0.0/24 drop; }; }'
must client patience 1
lost=$(client get udp 10.1.0.100 80 4; client get tcp 10.1.0.100 80 4)
must client patience 10
note "clients of A got: $lost"
for protocol in TCP UDP; do
	check_match "doctor finds a $protocol server whose replies take another way" \
		"$(adm doctor | grep "^FAIL  nat-replies .*$protocol")" ".* 10.2.0.11:.* answers this host, but none of its replies .*"
done
# Not before: A repeats its answers to clients.
must on A nft delete table ip lost
flush
service -t 10.1.0.100:80 rr -- A:m:1 B:m:1
must client get tcp 10.1.0.100 80 4
check_eq 'metrics prints the connections of a service' \
	"$(adm metrics | awk '/^lvs_service_connections_total/ { print $NF }')" 4
check_eq 'metrics ends with an EOF line' "$(adm metrics | tail -n 1)" '# EOF'
# `on` would not do: it would be a shell with a process ID of its own.
on director lvsadm metrics --listen 127.0.0.1:9750 2>"$work/served" &
metrics=$!
check_soon 'metrics --listen serves HTTP' 2 on director sh -c 'curl -s http://127.0.0.1:9750/metrics | grep -c ^lvs_server_weight'
kill $metrics
check_eq 'top --once --json is valid by the members of its schema' \
	"$(adm top --once --json | jq -c '.services[0] | keys')" \
	"$(adm schema top | jq -c '."$defs".ServiceReport.properties | keys - ["fwmark"]')"
check_match 'top --once prints the servers' "$(adm top --once | grep 10.2.0.11:80 | xargs)" '10.2.0.11:80 NAT 1 .* OK'

# --- schedulers, completion, names ----------------------------------------------------------------

check_eq 'schedulers lists rr as loaded' "$(adm schedulers | awk '$1 == "rr" { print $2 }')" yes
check_eq 'schedulers --json lists the flags' "$(adm schedulers --json | jq -r '.schedulers[] | select(.name == "mh") | .flags | join(" ")')" \
	'mh-fallback mh-port'
service -t 10.1.0.101:80 rr -- A:m:2 B:m:1
complete() { # WORD…: what the shell would offer for the last word
	COMPLETE=bash _CLAP_IFS=$'\n' _CLAP_COMPLETE_INDEX=$(($# - 1)) adm -- "$@" | sort | xargs
}
check_eq 'completion offers services' "$(complete lvsadm -D -t '')" '10.1.0.100:80 10.1.0.101:80'
check_eq 'completion offers servers' "$(complete lvsadm -d -t 10.1.0.101:80 -r '')" '10.2.0.11:80 10.2.0.12:80'
check_eq 'completion offers schedulers' "$(complete lvsadm -A -s lbl)" 'lblc lblcr'

# A name server that does not answer. The listing is complete at once, except for names. All lookups
# share one deadline.
for server in 21 22 23 24 25 26; do must adm -a -t 10.1.0.101:80 -r "10.2.0.$server" -m; done
must touch /etc/resolv.conf
cp --remove-destination "$(readlink -f /etc/resolv.conf)" "$work/resolv.conf"
echo 'nameserver 10.1.0.250' >/etc/resolv.conf
on director timeout $((30 * TIME_SCALE)) lvsadm -L >"$work/listed" 2>"$work/notes"
listed=$?
cat "$work/resolv.conf" >/etc/resolv.conf
check_eq 'a listing with a dead name server ends' "$listed" 0
check_eq 'a listing with a dead name server has all servers' "$(grep -c '^  -> 10.2.0' "$work/listed")" 10
check_match 'a note reports that names are missing' "$(cat "$work/notes")" 'lvsadm: note: the resolver did not answer in time for .*'
finish
