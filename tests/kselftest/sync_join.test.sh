#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A backup that starts gets the whole table, says when it is ready, and says why it takes nothing.
# The directors are namespaces of one machine.
# timeout: 240
# check: debug, because sync.test.sh runs on both kernels

# Functions are called by name; jq has variables of its own.
# shellcheck disable=SC2016,SC2119,SC2317
# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"

# shellcheck source=tests/kselftest/second_director.sh
. "$here/second_director.sh"

directors_up
client_up second client 10.0.0.2
for host in director other; do
	DIRECTOR=$host service -t 10.1.0.100:8000 rr -p 300 -- A:m:1 B:i:1
done

# state DIRECTOR [ARGUMENT…]: the exit status, the state and its reason.
state() {
	local DIRECTOR=$1 out status
	shift
	out=$(lvs sync status --json "$@")
	status=$?
	printf '%s %s\n' "$status" "$(jq -r '"\(.state) \(.reason)"' <<<"$out")"
}
start() { must daemon "$1" --start-daemon "$2" --mcast-interface eth2 --syncid "${3:-7}" "${@:4}"; }
stop() { must daemon "$1" --stop-daemon "$2"; }
counter() { daemon "$1" sync status --json | jq ".counters.$2"; }
rises() { [ "$(counter "$1" "$2")" -gt "$3" ]; }

# --- ready ----------------------------------------------------------------------------------------

check_eq 'without a daemon the state is "off" and the exit status 1' "$(state director)" '1 off null'
check_fails 'without a daemon nothing can be sent again' 'no synchronization daemon runs' daemon director sync resync
start director master
check_eq 'a director with only a master is ready' "$(state director)" '0 ready master'
must client hold a tcp 10.1.0.100 80 40
must ask second hold b tcp 10.1.0.100 8000 10
wait_for 5 rises director entries_sent 50
check_eq 'nobody has taken them yet' "$(listed other | wc -l)" 0

start other backup
check_eq 'a backup that starts later is ready within a second' "$(state other --wait 1s)" '0 ready complete'
check_eq 'and has all connections and templates then' "$(listed other)" "$(listed director)"
check_eq 'these are 50 connections and a template' "$(listed other | wc -l)" 51
check_eq 'the master answered one request' "$(counter director table_requests_answered)" 1
check_match 'the state is in the text for people' "$(daemon other sync status)" \
	$'state    ready: the backup has the whole table of a master\ndaemons  backup\nkeys .*datagrams received +[0-9]+\n.*'
check_eq 'no datagram is missing' "$(counter other datagrams_missing)" 0

metrics=$(daemon other metrics)
check_match 'metrics have the state and the counters' \
	"$(grep -E '^lvs_sync_(ready|events_total.event="(entries-taken|table-requests)")' <<<"$metrics" | sort | xargs)" \
	'lvs_sync_events_total\{event=entries-taken\} 5[0-9]+ lvs_sync_events_total\{event=table-requests\} 1 lvs_sync_ready 1'
check 'the JSON is valid by its schema' bash -c "
	on other $LVSADM sync status --json >$work/status &&
		$LVSADM schema sync | jq -e --slurpfile it $work/status '[.required[] as \$name | \$it[0] | has(\$name)] | all'"

lose() { check_match "$1" "$(daemon other connections --client 10.0.0.0/24 --kill)" 'removed: 5[0-9]'; }
lose 'a backup loses its table'
must daemon director sync resync
check_same 'a master sends its table on command'
lose 'a backup loses its table again'
must daemon other sync resync
check_same 'a backup asks for the table on command'
check_eq 'and stays ready meanwhile' "$(state other)" '0 ready complete'

# A request is a datagram of version 1 with 0 connections, so the C director reads nothing of it.
stop other backup
launch "$work/ready" ready timeout 20 on director python3 "$here/sync_wire.py" eth2 capture "$work/asked"
start other backup
check_eq 'the backup is ready again' "$(state other --wait 10s)" '0 ready complete'
check_match 'its request has no connections' "$(head -n 1 "$work/asked")" '0007....000100000115.*'

# --- losses ---------------------------------------------------------------------------------------

stop other backup
must daemon other connections --client 10.0.0.0/24 --kill
modprobe sch_netem 2>/dev/null
for host in director other; do must tc -n "$host" qdisc add dev eth2 root netem loss 30%; done
sysctls director net.ipv4.vs.sync_bulk_rate=1
start other backup
check_eq 'a backup is ready although 30 % of the datagrams are lost' "$(state other --wait 60s)" '0 ready complete'
check_same 'and lacks nothing'
for host in director other; do must tc -n "$host" qdisc del dev eth2 root; done
sysctls director net.ipv4.vs.sync_bulk_rate=0

# --- a master of another kind ---------------------------------------------------------------------

stop other backup
stop director master
start other backup
check_eq 'without a master a backup joins' "$(state other)" '3 joining null'
check_eq 'and is still not ready after five seconds' "$(state other --wait 5s)" '3 joining null'
check_eq 'it is ready when nobody has answered for ten seconds' "$(state other --wait 20s)" '0 ready no_answer'
start director master
must client hold c tcp 10.1.0.100 80 3
check_same 'a master that starts later sends its table'

# --- the log --------------------------------------------------------------------------------------

logged() { dmesg | grep -c "ipvs_rs: synchronization backup on eth2: $1"; }
dmesg -C
stop other backup
start other backup 9
check_soon 'the log names a wrong syncid' 1 logged 'datagrams with syncid 7 are ignored; this daemon takes syncid 9'
must on director python3 "$here/datagrams.py" eth2 0009000800020000 0009000800020000
check_soon 'the log names an unknown version' 1 logged 'datagrams to 224.0.0.81:8848 are of an unknown version and are ignored'
must on director python3 "$here/datagrams.py" eth2 000900
check_soon 'the log names what is not of the protocol' 1 logged 'datagrams to 224.0.0.81:8848 are not of the protocol and are ignored'
check_eq 'it says each of them once, whatever arrives' "$(dmesg | grep -c 'are ignored')" 3
stop other backup
start other backup 7 --sync-maxlen 1024
must on director python3 "$here/datagrams.py" eth2 "0007$(printf '%04x' 1100)$(printf '00%.0s' {1..1096})"
check_soon 'the log says that datagrams are too long' 1 logged 'datagrams are longer than --sync-maxlen and are ignored'
stop other backup
stop director master
dmesg -C
start other backup
sleep 29
check_eq 'the log says nothing about a short silence' "$(logged 'no datagram')" 0
check_soon 'the log says that nothing arrives' 1 logged 'no datagram to 224.0.0.81:8848 for 30 seconds'
start director master
check_soon 'the log says that datagrams arrive again' 1 logged 'datagrams arrive again'
sleep 40
check_eq 'an idle master gives signs of life' "$(logged 'no datagram')" 1

# --- again and again ------------------------------------------------------------------------------

for n in 1 2 3 4 5 6 7 8 9 10; do
	stop other backup
	start other backup
	stop director master
	start director master
done
check_match 'a backup joins after many starts' "$(state other --wait 30s)" '0 ready (complete|no_answer)'
check_same 'and has everything'

# --- a master that dies ---------------------------------------------------------------------------

# Of 2,000 new connections in a second, the backup lacks those of the last 20 ms, and of the time
# that this machine takes to send and learn them. Three times, as the master collects changes for
# most of these 20 ms: by chance there are none.
for host in director other; do DIRECTOR=$host service -t 10.1.0.100:8081 rr -- A:m:1 B:i:1 C:g:1; done
for n in 700 1000 1300; do
	killed=$(python3 "$here/daemons.py" killed 10.1.0.100 8081 2000 $n eth2)
	check_match "a backup lacks only connections of the last moment when a master dies ($killed)" "$killed" 'open=[1-9][0-9]{2,3} .* oldest=[0-4]?[0-9]'
	must daemon director sync resync
	check_same 'and has everything when the wire works again'
done

# --- without an interface -------------------------------------------------------------------------

unsent=$(counter director datagrams_unsent)
check 'the interface of running daemons can be deleted' ip -n other link del eth2
must client hold d tcp 10.1.0.100 80 3
check 'what cannot be sent is counted' wait_for 10 rises director datagrams_unsent "${unsent/null/0}"
check 'a daemon stops without its interface' daemon director --stop-daemon master
check_fails 'none starts without its interface' 'no network interface' daemon director --start-daemon master --mcast-interface eth2
must ip netns del other
flush
check 'the module can be unloaded while a master runs' unload_all "$IPVS_MODULE"
finish
