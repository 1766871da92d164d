#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The commands of Documentation/migrating.rst, "One machine", as they stand, and what clients see of
# them: with many open connections and new ones all the time, the C director is replaced by ipvs_rs,
# ipvs_rs by itself, and ipvs_rs by the C director. FAILOVER_CONNECTIONS is the number of
# connections that stay open, FAILOVER_RATE that of new ones in a second.
# timeout: 400
# kernel: stock, because instructions take no time on the clock of the debug kernel

# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/kselftest/failover.sh
. "$here/failover.sh"
# shellcheck source=tests/kselftest/page.sh
. "$here/page.sh"

held=${FAILOVER_CONNECTIONS:-1000}
unload_all ip_vs
unload_all ipvs_rs
must modprobe ip_vs
topology_up
IPVS_MODULE=ip_vs
service -t 10.1.0.100:80 wlc -- A:m:1 B:m:1 C:m:1
service -t 10.1.0.100:8080 wlc -- A:g:1 B:g:1 C:g:1
crowd_up
hold "$held"

# Of the milliseconds for which no connection opens, 900 are instructions of an emulated processor,
# which executes a quarter of 10^9 in a second. A real one is several times as fast.
limit=1250

# replaced NAME FORMER NEW BLOCK: replaces the director under load.
replaced() {
	local name=$1 load result
	check_eq "$name: before" "$(directors)" "$2"
	loads_up
	result=$(administrator 'One machine' "$4" 2>&1)
	check_match "$name: the script reports its success" "${result##*$'\n'}" "replaced $2 by $3: packets waited [0-9]+ ms"
	note "${result##*$'\n'}, with $held connections open"
	more
	moment
	client halt nat >/dev/null
	client halt dr >/dev/null
	for load in nat dr; do
		result=$(client end $load)
		note "new connections ($load): $result"
		check "$name ($load): new connections open again after at most $limit ms" \
			[ "$(field gap "$result")" -le $limit ]
		check_match "$name ($load): each new one opens and answers" "$result" '.* never=0 refused=0 lost=0 .*'
	done
	check_eq "$name: afterwards the director is the new one" "$(directors)" "$3"
	check_held "$name: every open connection answers"
}
replaced 'C director to ipvs_rs' ip_vs ipvs_rs 1
replaced 'ipvs_rs to ipvs_rs' ipvs_rs ipvs_rs 1
replaced 'ipvs_rs to the C director' ipvs_rs ip_vs 2

flush
unload_all ip_vs
finish
