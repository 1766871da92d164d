#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Memory runs out in every command, file, namespace, module load and in the packet path. Each
# operation works, or fails with a clean error and leaves everything as it was. The kernel logs
# nothing (run.sh looks) and nothing leaks (kmemleak looks at the end). FAILSLAB_SAMPLES (10) is the
# number of allocations to fail in operations with hundreds of them.
# timeout: 400
# kernel: debug, because the stock kernel cannot inject failures

# Functions are called through check.
# shellcheck disable=SC2016,SC2119,SC2317
# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"

samples=${FAILSLAB_SAMPLES:-10}
switches=/sys/kernel/debug/failslab

if [ ! -e /proc/self/fail-nth ] || [ ! -d $switches ]; then
	skip 'failing allocations' 'this kernel cannot inject failures'
	finish
fi
if [ "$IPVS_MODULE" = ip_vs ]; then
	skip 'failing allocations' 'the expectations hold for ipvs_rs only'
	finish
fi

# Allocations that may sleep also fail. The kernel logs no injected failure.
quiet() {
	echo 0 >$switches/probability
	echo 0 >$switches/verbose
	echo N >$switches/task-filter
	echo N >$switches/ignore-gfp-wait
	echo N >$switches/cache-filter
}
quiet

# fails NAME ORDER…: lets one allocation after another fail.
fails() { fails_by failslab.py "$@"; }
fails_by() {
	local program=$1 title=$2 out status start=$SECONDS
	shift 2
	out=$(on director python3 "$here/$program" "$@" 2>&1)
	status=$?
	note "$out ($((SECONDS - start)) s)"
	report $status "$title"
}

# held: prints the use count of the schedulers. Only services hold them.
held() {
	awk -v prefix="${IPVS_MODULE}_" 'index($1, prefix) == 1 { held += $3 } END { print held + 0 }' /proc/modules
}

unload_all "$IPVS_MODULE"
must ip netns add director
must ip -n director link set lo up
fails 'loading and unloading the director survives failed allocations' module "$(module_path "$IPVS_MODULE")" "$samples"
must module_load "$IPVS_MODULE"
# One or two allocations belong to the scheduler, so all are tried.
fails 'loading and unloading a scheduler survives failed allocations' module "$(module_path "${IPVS_MODULE}_rr")" 1000
load_schedulers
fails 'every command with every scheduler survives failed allocations' commands
check_soon 'failed commands hold no scheduler' 0 held
fails 'the first service of a namespace survives failed allocations' first
check_soon 'deleted namespaces with a service hold no scheduler' 0 held
sysctls director net.ipv6.conf.default.accept_dad=0
{
	echo "link add eth2 type veth peer name peer2"
	echo "link set peer2 up"
	echo "link set eth2 up"
	echo "address add 10.5.0.1/24 dev eth2"
	echo "address add fd00:0:0:5::1/64 dev eth2"
} | batch -n director
fails_by daemons.py 'starting and stopping synchronization daemons survives failed allocations' failslab eth2
fails 'reading and writing the files in /proc survives failed allocations' files
fails 'creating namespaces survives failed allocations' namespaces $((samples * 12))
must ip netns del director
check_soon 'deleted namespaces hold no scheduler' 0 held

# --- in the packet path ---------------------------------------------------------------------------

topology_up
client_up
servers_up A B C
service -t 10.1.0.100:80 rr -- A:m:1 B:m:1 C:m:1
service -u 10.1.0.100:80 rr -p 5 -- A:m:1 B:m:1 C:m:1
# served PROTOCOL: sends requests until one is answered.
served() {
	[[ $(client get "$1" 10.1.0.100 80 1) == [ABC] ]]
}
check 'traffic flows before allocations fail' wait_for 10 served tcp
cache=/sys/kernel/slab/ipvs_rs_connection
# starved CACHE-FILTER PERCENT: runs traffic for some seconds while that share of the atomic
# allocations fails.
starved() {
	local protocol
	echo "$1" >$switches/cache-filter
	echo Y >$switches/ignore-gfp-wait
	echo -1 >$switches/times
	echo "$2" >$switches/probability
	for protocol in tcp udp; do client load $protocol $protocol 10.1.0.100 80 4 0.05 >/dev/null; done
	sleep $((3 * TIME_SCALE))
	quiet
	note "$(client stop tcp) $(client stop udp)"
}
refused() {
	on director awk -F'\t' '/^Conns refused/ { print $2 }' /proc/net/ip_vs_status
}
echo 1 >$cache/failslab
before=$(refused)
starved Y 50
echo 0 >$cache/failslab
after=$(refused)
check "connections without memory are counted as refused ($before, $after)" test "$after" -gt "$before"
check 'TCP is served after connection allocations failed' wait_for 10 served tcp
check 'UDP is served after connection allocations failed' wait_for 10 served udp
starved N 5
check 'TCP is served after allocations of all kinds failed' wait_for 10 served tcp
check 'UDP is served after allocations of all kinds failed' wait_for 10 served udp
flush
topology_down
check 'the module can be unloaded' unload_all "$IPVS_MODULE"
finish
