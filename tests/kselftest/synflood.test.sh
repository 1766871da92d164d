#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A flood of SYNs from forged addresses, ten times as many as conn_max allows connections, while a
# client opens a thousand real ones: half-open connections make room for new ones, established ones
# stay, and the limit holds. The same with a persistent service, for which the flood makes templates
# too.
# timeout: 400

# Functions are called through check, and awk's programs are in single quotes.
# shellcheck disable=SC2317,SC2016
# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"

# Real connections, and how many there may be in all.
real=1000
limit=4000
ulimit -n 8192

must module_load "$IPVS_MODULE"
topology_up
client_up client client 10.0.0.1
servers_up A B C
# Answers to forged addresses go nowhere.
must ip -n router route add blackhole 10.9.0.0/16
must on director sysctl -qw "net.ipv4.vs.conn_max=$limit"

# status NAME: a number in /proc/net/ip_vs_status.
status() {
	on director sed -n "s/^$1:\t//p" /proc/net/ip_vs_status
}

# How many of the words are those of servers.
served() { grep -o '\<[ABC]\>' | wc -l; }

# flood ADDRESS: the SYNs, in the background, until the flood is stopped.
flood() {
	rm -f "$work/sent"
	nsenter --net=/run/netns/client python3 "$here/synflood.py" "$1" 80 10.9 "$work/sent" &
	flooder=$!
}
flooded() { [ "$(cat "$work/sent" 2>/dev/null || echo 0)" -ge $((10 * limit)) ]; }

templates() { on director awk '$8 == "NONE"' /proc/net/ip_vs_conn | wc -l; }
# Half-open connections of forged addresses: 0A09 is 10.9.
half_open() { on director grep -c '^TCP 0A09.* SYN_RECV' /proc/net/ip_vs_conn; }
# few COMMAND NUMBER: the command prints a number that is not larger. It looks every 3 s, since what
# it waits for takes a minute or two.
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
	opened=$(client hold "$title" tcp "$vip" 80 $real | served)
	check_eq "$title: real connections are opened during the flood" "$opened" $real
	check "$title: ten times the limit of SYNs" wait_for 120 flooded
	kill $flooder
	wait $flooder 2>/dev/null
	note "$title: $(cat "$work/sent") SYNs, $(status 'Half-open evicted') half-open connections have made room"
	check_eq "$title: none of the established ones is lost" "$(client again "$title" | served)" $real
	check "$title: the limit holds" test "$(status Conns)" -le $limit
	check "$title: half-open ones have made room" test "$(status 'Half-open evicted')" -gt $((evicted + 5 * limit))
	check_eq "$title: no new connection was refused" "$(status 'Conns refused')" 0
	if [ "$title" = persistent ]; then
		check "$title: the flood has left templates" test "$(templates)" -gt 10
		must on director sysctl -qw net.ipv4.vs.drop_entry=3
		# That of the real client, which has established connections, stays.
		check "$title: drop_entry drops templates without an established connection" \
			wait_for 60 few templates 1
		check "$title: drop_entry drops half-open connections" wait_for 60 few half_open 0
		check_eq "$title: drop_entry leaves the real client's template" "$(templates)" 1
		check_eq "$title: drop_entry leaves established ones" "$(client again "$title" | served)" $real
		must on director sysctl -qw net.ipv4.vs.drop_entry=0
	fi
	client reset "$title" >/dev/null
	flush
	# Servers repeat their answers to forged addresses, which are packets of half-open connections.
	check "$title: all connections expire" wait_for 300 few 'status Conns' 0
done

# Full of established connections: nothing makes room.
service -t 10.1.0.102:80 rr -- A:m:1 B:m:1 C:m:1
must on director sysctl -qw net.ipv4.vs.conn_max=10
check_eq 'full: as many as there may be are opened' "$(client hold full tcp 10.1.0.102 80 10 | served)" 10
client patience 2 >/dev/null
check_eq 'full: one more is refused' "$(client get tcp 10.1.0.102 80 | served)" 0
check 'full: it is counted' test "$(status 'Conns refused')" -gt 0
check_eq 'full: the others stay' "$(client again full | served)" 10
finish
