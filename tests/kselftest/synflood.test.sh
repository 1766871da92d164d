#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A flood of SYNs from forged addresses, ten times the limit conn_max, while a client opens a
# thousand real connections. Half-open connections make room for new ones, established ones stay,
# and the limit holds. The same with a persistent service, for which the flood also creates
# templates.
# timeout: 400
# check: debug, because choices do not depend on the kernel

# Functions are called through check; awk programs are in single quotes.
# shellcheck disable=SC2317,SC2016
# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"

# The number of real connections, and the limit for all connections.
real=1000
limit=2000
ulimit -n 8192

must module_load "$IPVS_MODULE"
topology_up
client_up client client 10.0.0.1
servers_up A B C
# Answers to forged addresses are dropped.
must ip -n router route add blackhole 10.9.0.0/16
must on director sysctl -qw "net.ipv4.vs.conn_max=$limit"
# A kernel without SYN cookies would let the flood fill the servers' queues.
if [ ! -e /proc/sys/net/ipv4/tcp_syncookies ]; then
	for host in A B C; do
		must on $host nft 'table ip forged { chain in { type filter hook input priority 0; ip saddr 10.9.0.0/16 drop; }; }'
	done
fi

# status NAME: prints a number in /proc/net/ip_vs_status.
status() {
	on director sed -n "s/^$1:\t//p" /proc/net/ip_vs_status
}

# Counts the words that are names of servers.
served() { grep -o '\<[ABC]\>' | wc -l; }

# flood ADDRESS: sends the SYNs in the background until the flood is stopped.
flood() {
	rm -f "$work/sent"
	on client python3 "$here/synflood.py" "$1" 80 10.9 10.1.0.1 "$work/sent" &
	flooder=$!
}
flooded() { [ "$(cat "$work/sent" 2>/dev/null || echo 0)" -ge $((10 * limit)) ]; }

templates() { on director awk '$8 == "NONE" || $8 == "ASSURED"' /proc/net/ip_vs_conn | wc -l; }
# The number of half-open connections of forged addresses: 0A09 is 10.9.
half_open() { on director grep -c '^TCP 0A09.* SYN_RECV' /proc/net/ip_vs_conn; }
# few COMMAND NUMBER: succeeds when the command prints at most that number. It waits 3 s before each
# attempt, because the condition takes a minute or two.
few() {
	sleep 3
	# shellcheck disable=SC2086
	[ "$($1)" -le "$2" ]
}
full() { [ "$(status Conns)" -ge $((limit - 10)) ]; }

for row in 'plain 10.1.0.100' 'persistent 10.1.0.101'; do
	read -r title vip <<<"$row"
	options=()
	[ "$title" = plain ] || options=(-p 60)
	service -t "$vip:80" rr "${options[@]}" -- A:m:1 B:m:1 C:m:1
	evicted=$(status 'Half-open evicted')
	flood "$vip"
	check "$title: the flood fills the table" wait_for 60 full
	opened=$(client hold "$title" tcp "$vip" 80 $real)
	[ "$(served <<<"$opened")" = $real ] || note "other answers: $(grep -o '[^ ]*' <<<"$opened" | grep -v '^[ABC]$' | sort | uniq -c | xargs)"
	opened=$(served <<<"$opened")
	check_eq "$title: real connections open during the flood" "$opened" $real
	check "$title: the flood sends ten times the limit" wait_for 120 flooded
	kill $flooder
	wait $flooder 2>/dev/null
	note "$title: $(cat "$work/sent") SYNs, $(status 'Half-open evicted') half-open connections have made room"
	check_eq "$title: no established connection is lost" "$(client again "$title" | served)" $real
	check "$title: the limit holds" test "$(status Conns)" -le $limit
	check "$title: half-open connections make room" test "$(status 'Half-open evicted')" -gt $((evicted + 5 * limit))
	check_eq "$title: no new connection is refused" "$(status 'Conns refused')" 0
	if [ "$title" = persistent ]; then
		check "$title: the flood leaves templates" test "$(templates)" -gt 10
		must on director sysctl -qw net.ipv4.vs.drop_entry=3
		# The template of the real client stays, because it has established connections.
		check "$title: drop_entry drops templates without an established connection" \
			wait_for 60 few templates 1
		check "$title: drop_entry drops half-open connections" wait_for 60 few half_open 0
		check_eq "$title: drop_entry keeps the real client's template" "$(templates)" 1
		check_eq "$title: drop_entry keeps established connections" "$(client again "$title" | served)" $real
		must on director sysctl -qw net.ipv4.vs.drop_entry=0
	fi
	client reset "$title" >/dev/null
	flush
	# Servers repeat their answers to forged addresses. These are packets of half-open
	# connections.
	check "$title: all connections expire" wait_for 300 few 'status Conns' 0
done

# The table is full of established connections, so nothing can make room.
service -t 10.1.0.102:80 rr -- A:m:1 B:m:1 C:m:1
must on director sysctl -qw net.ipv4.vs.conn_max=10
check_eq 'a table can fill with established connections' "$(client hold full tcp 10.1.0.102 80 10 | served)" 10
client patience 2 >/dev/null
check_eq 'a full table refuses one more connection' "$(client get tcp 10.1.0.102 80 | served)" 0
check 'a full table counts the refused connection' test "$(status 'Conns refused')" -gt 0
check_eq 'a full table keeps its connections' "$(client again full | served)" 10
finish
