#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A backup that starts when the other director has BULK (20,000) connections: how soon it has them.
# The time is that of a real machine only on the kernel for measurements: make vm KERNEL=uml.
# timeout: 200

# Functions are called by name; awk has variables of its own.
# shellcheck disable=SC2016,SC2317
# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"

bulk=${BULK:-20000}
hosts='director other'

unload_all "$IPVS_MODULE"
must module_load "$IPVS_MODULE"
topology_down
printf 'netns add %s\n' director other | batch
echo 'link add eth2 netns director type veth peer name eth2 netns other' | batch
for host in director:1 other:2; do
	{
		echo "link set lo up"
		echo "link set eth2 up"
		echo "address add 10.5.0.${host#*:}/24 dev eth2"
	} | batch -n "${host%:*}"
	DIRECTOR=${host%:*} service -t 10.1.0.100:80 rr -- A:m:1 B:m:1 C:m:1
done
daemon() {
	local DIRECTOR=$1
	shift
	must lvs "$@" --mcast-interface eth2 --syncid 7
}
# known DIRECTOR: prints the connections that it counts at its servers.
known() { DIRECTOR=$1 connections -t 10.1.0.100:80 | xargs -n 2 | awk -F '[ /]' '{ sum += $2 } END { print sum + 0 }'; }

# The first director learns its connections from a program.
daemon director --start-daemon backup
must on other python3 "$here/datagrams.py" eth2 many "$bulk"
check_soon 'a backup takes connections from a program' "$bulk" known director

# The backup starts; then the master, which sends all it has.
daemon other --start-daemon backup
begin=$EPOCHREALTIME
daemon director --start-daemon master
until [ "$(known other)" = "$bulk" ] || [ ${EPOCHREALTIME/./} -gt $((${begin/./} + 60000000 * TIME_SCALE)) ]; do :; done
took=$(((${EPOCHREALTIME/./} - ${begin/./}) / 1000))
check_eq "a backup gets all connections in one piece (in $took ms)" "$(known other)" "$bulk"
# A real machine is faster than 250 million instructions in a second, which this kernel's clock
# counts.
if [ "${KERNEL_FLAVOUR-stock}" = stock ] && [ "${VM_CLOCK-}" = jumps ]; then
	check 'that is 10,000 connections in a second at least' [ $took -le $((bulk / 10)) ]
fi
on other sed -n 's/^Sync /# Sync /p' /proc/net/ip_vs_status
on director sed -n 's/^Sync /# Sync /p' /proc/net/ip_vs_status
flush
topology_down
check 'the module can be unloaded' unload_all "$IPVS_MODULE"
finish
