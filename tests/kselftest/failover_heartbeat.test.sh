#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Two directors on two machines with the programs of the first Linux Virtual Servers, as Debian has
# them: heartbeat finds that a director is dead, fake takes its address, ldirectord and mon look
# after the real servers. They use the example configurations. A director is killed and returns, in
# both modes of failback.
# timeout: 2400
# long: heartbeat's scripts take half a minute on an emulated processor
# machines: 2
# kernel: stock, because the debug kernel has no wire to another machine

# Functions are called by name; the other machine expands some variables.
# shellcheck disable=SC2016,SC2317
# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/kselftest/machines.sh
. "$here/machines.sh"
# shellcheck source=tests/kselftest/failover.sh
. "$here/failover.sh"

held=${FAILOVER_CONNECTIONS:-600}
rate=${FAILOVER_RATE:-20}
# servers OPTION ADDRESS: prints the real servers of a service.
servers() { lvs -L -n "$1" "$2" | awk "$names"' $1 == "->" && $2 ~ /^[0-9]/ { print name($2) }' | sort | xargs; }
# served NAMES: these are the real servers of the NAT service. A busy host slows checkers down.
served() { [ "$(servers -t 10.1.0.100:80)" = "$1" ]; }
# dead HOST, alive HOST: its server refuses connections, or serves again.
dead() {
	must on "$1" nft 'table inet dead { chain in { type filter hook input priority 0; ip saddr { 10.1.0.1, 10.1.0.2, 10.2.0.1, 10.2.0.2 } tcp dport { 80, 8080 } reject with tcp reset; }; }'
}
alive() { must on "$1" nft delete table inet dead; }

# check_joined NAME: heartbeat on each director hears the other one.
check_joined() {
	check "$1: the backup hears the primary" wait_for 120 hears primary
	check "$1: the primary hears the backup" wait_for 120 second hears backup
}

[ -n "${MACHINE-}" ] || { skip 'heartbeat' 'there is only one machine: MACHINES=2'; finish; }
pair_up
crowd_up
primary_ready heartbeat_up mode1
check 'the primary has the addresses' wait_for 300 held_by primary
heartbeat_up mode1
check_joined 'heartbeat runs on both directors'
check_soon 'ldirectord configures the services' 'A B C' servers -t 10.1.0.100:80
hold "$held"
check_soon 'the backup has all connections' "$held" active

neighbor() { ip -n router neighbor show 10.1.0.100 | awk '{ print $5 }'; }
# heartbeat_dies MODE: the primary is killed, and can start again.
heartbeat_dies() {
	local begin
	# The guest's disk has no journal, and heartbeat must find the number of its start again.
	must second sync
	begin=$SECONDS
	second_dies
	check "$1: the backup takes the addresses" wait_for 300 holds
	note "after $((SECONDS - begin)) s"
	check_soon "$1: fake announces the address, so the router sends to the backup" \
		"$(ip -n director -br link show eth0 | awk '{ print $3 }')" neighbor
	check_held "$1: every open connection answers through the backup"
	wait_for 120 second_reached || bail 'the second machine does not return'
}

# --- failback, mode 1: the primary becomes the backup ---------------------------------------------

heartbeat_dies 'mode 1'
primary_ready heartbeat_up mode1
check 'mode 1: the returned primary has all connections' wait_for 60 filled second active
check_joined 'mode 1: the primary returns'
check_eq 'mode 1: the addresses stay where they are' "$(holder)" backup
loads_up
on director /etc/init.d/heartbeat stop >/dev/null 2>&1
check 'mode 1: the primary takes the addresses when the other director stops' wait_for 300 held_by primary
check_loads 'mode 1: the other director stops'
check_held 'mode 1: every open connection answers through the returned primary'

# --- failback, mode 2: the primary takes over again -----------------------------------------------

must second 'on "$DIRECTOR" /etc/init.d/heartbeat stop >/dev/null 2>&1; heartbeat_up mode2'
check 'mode 2: the primary has the addresses' wait_for 300 held_by primary
heartbeat_up mode2
check_joined 'mode 2: heartbeat runs on both directors'
check_eq 'mode 2: the primary keeps the addresses' "$(holder)" primary
heartbeat_dies 'mode 2'
loads_up
primary_ready heartbeat_up mode2
check 'mode 2: the primary takes the addresses again' wait_for 300 held_by primary
check 'mode 2: it has all connections then' filled second active
check_joined 'mode 2: the primary takes over again'
check_loads 'mode 2: the primary takes over again'
check_held 'mode 2: every open connection answers through the primary again'

# --- ldirectord and mon ---------------------------------------------------------------------------

dead B
check_soon 'ldirectord removes a failed server' 'A C' servers -t 10.1.0.100:80
alive B
check_soon 'ldirectord restores it' 'A B C' servers -t 10.1.0.100:80
heartbeat_down
must lvs -C
must install -m 644 "$examples/mon.cf" /etc/mon/mon.cf
must install -m 755 "$examples/lvsadm.alert" /usr/lib/mon/alert.d/lvsadm.alert
lvs -A -t 10.1.0.100:80 -s rr
lvs -a -t 10.1.0.100:80 -r 10.2.0.11:80 -m
lvs -a -t 10.1.0.100:80 -r 10.2.0.12:80 -m
on director mon -c /etc/mon/mon.cf >"$work/mon.log" 2>&1 </dev/null &
dead A
begin=$EPOCHREALTIME
check 'mon: a failed server is removed' wait_for 120 served B
note "after $(awk "BEGIN { print $EPOCHREALTIME - $begin }") s"
alive A
check 'mon: a recovered server is restored' wait_for 120 served 'A B'
check_eq 'mon: it has its method and weight again' "$(lvs -S -n | grep 10.2.0.11)" '-a -t 10.1.0.100:80 -r 10.2.0.11:80 -m -w 1'

if [ "$failures" -gt 0 ]; then
	note "$(heartbeat_log)"
	note "$(second heartbeat_log)"
	note "$(cat "$work/mon.log")"
fi
second_leaves
finish
