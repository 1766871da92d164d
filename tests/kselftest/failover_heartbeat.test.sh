#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Two directors on two machines with the programs of the first Linux Virtual Servers, as Debian has
# them: heartbeat finds that a director is dead, fake takes its address, ldirectord and mon look
# after the real servers. They use the example configurations.
# timeout: 900
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
# servers OPTION ADDRESS: prints the real servers of a service.
servers() { lvs -L -n "$1" "$2" | awk "$names"' $1 == "->" && $2 ~ /^[0-9]/ { print name($2) }' | sort | xargs; }
# dead HOST, alive HOST: its server refuses connections, or serves again.
dead() {
	must on "$1" nft 'table inet dead { chain in { type filter hook input priority 0; ip saddr { 10.1.0.1, 10.1.0.2, 10.2.0.1, 10.2.0.2 } tcp dport { 80, 8080 } reject with tcp reset; }; }'
}
alive() { must on "$1" nft delete table inet dead; }

[ -n "${MACHINE-}" ] || { skip 'heartbeat' 'there is only one machine: MACHINES=2'; finish; }
pair_up
crowd_up
primary_ready heartbeat_up mode1
check 'the primary has the addresses' wait_for 120 eval '[ "$(holder)" = primary ]'
heartbeat_up mode1
check_soon 'ldirectord configures the services' 'A B C' servers -t 10.1.0.100:80
hold "$held"
check_soon 'the backup has all connections' "$held" active

# --- the primary is killed ------------------------------------------------------------------------

neighbor() { ip -n router neighbor show 10.1.0.100 | awk '{ print $5 }'; }
second_dies
begin=$SECONDS
check 'the backup takes the addresses' wait_for 120 holds
note "after $((SECONDS - begin)) s"
check_soon 'fake announces the address: the router sends to the backup' \
	"$(ip -n director -br link show eth0 | awk '{ print $3 }')" neighbor
check_held 'every open connection answers through the backup'

# --- failback, mode 1: the primary becomes the backup ---------------------------------------------

wait_for 120 second_reached || bail 'the second machine does not return'
primary_ready heartbeat_up mode1
check 'the returned primary has all connections' wait_for 60 eval '[ "$(second active)" -ge "$held" ]'
check_eq 'mode 1: the addresses stay where they are' "$(holder)" backup
on director /etc/init.d/heartbeat stop >/dev/null 2>&1
check 'the primary takes the addresses when the other director stops' wait_for 120 eval '[ "$(holder)" = primary ]'
check_held 'every open connection answers through the returned primary'

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
nsenter --net=/run/netns/director mon -c /etc/mon/mon.cf >"$work/mon.log" 2>&1 </dev/null &
dead A
begin=$EPOCHREALTIME
check_soon 'mon: a failed server is removed' B servers -t 10.1.0.100:80
note "after $(awk "BEGIN { print $EPOCHREALTIME - $begin }") s"
alive A
check_soon 'mon: a recovered server is restored' 'A B' servers -t 10.1.0.100:80
check_eq 'mon: it has its method and weight again' "$(lvs -S -n | grep 10.2.0.11)" '-a -t 10.1.0.100:80 -r 10.2.0.11:80 -m -w 1'

if [ $failures -gt 0 ]; then
	note "$(tail -n 60 /var/log/ha-log)"
	note "$(second 'tail -n 60 /var/log/ha-log')"
	note "$(cat "$work/mon.log")"
fi
second_leaves
finish
