#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Packets that the director drops. Each reason has a counter of the service, one of the destination,
# a line in the kernel log that does not repeat, and a trace event. The commands show them.
# timeout: 150
# check: debug, because counts do not depend on the kernel

# Functions are called through check; jq programs are in single quotes.
# shellcheck disable=SC2317,SC2016
# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"

must module_load "$IPVS_MODULE"
topology_up
client_up client client 10.0.0.1
takes_orders errors client errors.py 10.0.0.1 fd00::1
servers_up A B C
# Quoted packets must have complete checksums.
offloads off
client patience 2 >/dev/null
dmesg -C

# of_service REASON, of_server REASON [SERVER]: print the number of packets that the only service,
# or its destination with this number, has dropped.
of_service() { lvs -L -n --stats --json | jq --arg why "$1" '.services[0].drops[$why] // 0'; }
of_server() {
	lvs -L -n --stats --json |
		jq --arg why "$1" --argjson n "${2:-0}" '.services[0].destinations[$n].drops[$why] // 0'
}
# in_all REASON: prints the number of packets that the director has dropped in this namespace.
in_all() {
	lvs metrics | sed -n "s/^lvs_dropped_packets_total{reason=\"$1\"} //p"
}
# logged TEXT: prints the number of lines about TEXT in the kernel log.
logged() { dmesg | grep -c "ipvs_rs: service $1"; }
some() { [ "$("$@")" -gt 0 ]; }

# --- an empty pool
vip=10.1.0.100
service -t $vip:80 rr --
check_eq 'an empty pool: clients are refused' "$(client get tcp $vip 80 3)" 'refused refused refused'
check_eq 'an empty pool: drops are counted for the service' "$(of_service no-destination)" 3
check_eq 'an empty pool: drops are counted for the namespace' "$(in_all no-destination)" 3
check_eq 'an empty pool: the log has one line for three packets' \
	"$(logged "TCP $vip:80: packet dropped: no destination is available")" 1
check 'describe shows the drops' grep -q '^Dropped: *3 no-destination' <<<"$(lvs describe $vip:80)"
check 'doctor shows the drops' grep -q 'dropped 3 packets: no destination is available' <<<"$(lvs doctor)"
check 'metrics show the drops' grep -q "^lvs_service_dropped_packets_total{.*address=\"$vip\".*reason=\"no-destination\"} 3$" \
	<<<"$(lvs metrics)"
check_eq 'a listing of one service shows the drops' \
	"$(lvs -L -n -t $vip:80 --stats --json | jq -c '.services[0].drops')" '{"no-destination":3}'
must lvs -Z
check_eq '-Z zeroes the drops' "$(of_service no-destination) $(in_all no-destination)" '0 '
destination -a -t $vip:80 A:m:0
check_eq 'weight 0: clients are refused' "$(client get tcp $vip 80)" refused
check_eq 'weight 0: drops are counted for the service, not for the destination' \
	"$(of_service no-destination) $(of_server no-destination)" '1 0'
flush

# --- an overload
vip=10.1.0.101
service -t $vip:80 rr --
must lvs -a -t $vip:80 -r 10.2.0.11:80 -m -w 1 -x 1
check_eq 'an overload: the server takes connections up to its threshold' "$(client hold over tcp $vip 80)" A
check_eq 'an overload: clients are refused' "$(client get tcp $vip 80)" refused
check_eq 'an overload: drops are counted for service and destination' "$(of_service overload) $(of_server overload)" '1 1'
check_eq 'an overload: the log has a line' \
	"$(logged "TCP $vip:80, server 10.2.0.11:80: packet dropped: its destinations have reached")" 1
client reset over >/dev/null
flush

# --- no route
vip=10.1.0.102
must ip -n director route add unreachable 10.2.0.13
service -t $vip:80 rr -- C:m:1
client get tcp $vip 80 >/dev/null
check 'no route: drops are counted for the service' some of_service no-route
check_eq 'no route: drops are counted for the destination' "$(of_server no-route)" "$(of_service no-route)"
check_eq 'no route: the log has a line' "$(logged "TCP $vip:80, server 10.2.0.13:80: packet dropped: there is no route")" 1
before=$(of_service no-route)
destination -d -t $vip:80 C:m:1
check_eq 'no route: the service keeps the drops of its deleted destination' "$(of_service no-route)" "$before"
must ip -n director route del unreachable 10.2.0.13
flush

# --- the limit of connections
vip=10.1.0.103
service -t $vip:80 rr -- A:m:1
check_eq 'conn_max: connections are served up to the limit' "$(client hold max tcp $vip 80)" A
must on director sysctl -qw net.ipv4.vs.conn_max=1
client get tcp $vip 80 >/dev/null
check 'conn_max: drops are counted for the service' some of_service conn-max
check_eq 'conn_max: drops are counted for the destination' "$(of_server conn-max)" "$(of_service conn-max)"
check_eq 'conn_max: the log has a line' "$(logged "TCP $vip:80, server 10.2.0.11:80: packet dropped: the connection table is full")" 1
must on director sysctl -qw net.ipv4.vs.conn_max=100000
client reset max >/dev/null
flush

# --- a packet too large
for family in 4 6; do
	vip=10.1.0.100 at=10.1.0.100 via=10.2.0.11
	if [ $family = 6 ]; then vip=$(six $vip) at="[$vip]" via=$(six $via); fi
	must ip -n director route add "$via" dev eth1 mtu 1300
	service -u "$at:80" rr -- A:m:1
	check_eq "IPv$family, too large: the client learns the MTU" "$(ask errors learns "$vip" 80 1400 1300)" '1300 A'
	check "IPv$family, too large: drops are counted for the service" some of_service too-large
	check_eq "IPv$family, too large: drops are counted for the destination" "$(of_server too-large)" "$(of_service too-large)"
	check "IPv$family, too large: the log has a line" \
		some logged "UDP .*$vip.*, server .*: packet dropped: the packet is larger than the path's MTU"
	check_eq "IPv$family, a hop limit: the client gets an error" "$(ask errors trace "$vip" 80 3)" 'exceeded exceeded A'
	check "IPv$family, a hop limit: drops are counted for the destination" some of_server hop-limit
	must ip -n director route del "$via" dev eth1 mtu 1300
	flush
done

# --- the defense against floods
vip=10.1.0.101
service -t $vip:80 rr -- A:m:1
must on director sysctl -qw net.ipv4.vs.am_droprate=1 net.ipv4.vs.drop_packet=3
client get tcp $vip 80 >/dev/null
check 'drop_packet: drops are counted for the service' some of_service drop-packet
check_eq 'drop_packet: the log has no line' "$(logged "TCP $vip:80: .*drop_packet")" 0
must on director sysctl -qw net.ipv4.vs.drop_packet=0
check_eq 'drop_packet=0: a client is served' "$(client hold orphan tcp $vip 80)" A
destination -d -t $vip:80 A:m:1
client again orphan >/dev/null
check 'a deleted destination: drops are counted for the namespace' some in_all deleted-destination
client reset orphan >/dev/null
flush

# --- trace events
tracing=/sys/kernel/tracing
[ -d $tracing/events ] || must mount -t tracefs tracefs $tracing
service -t 10.1.0.102:80 rr -- A:m:1
service -t 10.1.0.103:80 rr --
must sh -c "echo 1 >$tracing/events/ipvs_rs/enable"
check_eq 'a connection is served while events are traced' "$(client get tcp 10.1.0.102 80)" A
check_eq 'a client is refused while events are traced' "$(client get tcp 10.1.0.103 80)" refused
must sh -c "echo 0 >$tracing/events/ipvs_rs/enable"
number=$(on director readlink /proc/self/ns/net | tr -dc 0-9)
event() { grep -c "$1" $tracing/trace; }
ends='client=10\.0\.0\.1:[0-9]* service=10\.1\.0\.102:80 server=10\.2\.0\.11:80'
check_eq 'the trace has the scheduling of the connection' "$(event "ipvs_rs_schedule: net=$number protocol=6 mark=0 $ends\$")" 1
check_eq 'the trace has the change of state' "$(event "ipvs_rs_state: protocol=6 $ends from=SYN_RECV to=ESTABLISHED\$")" 1
check_eq 'the trace has the dropped packet' \
	"$(event "ipvs_rs_drop: net=$number protocol=6 mark=0 client=10\.0\.0\.1:[0-9]* service=10\.1\.0\.103:80 .* reason=no-destination\$")" 1
flush
must sh -c "echo >$tracing/trace"
service -t 10.1.0.102:80 rr -- A:m:1
check_eq 'a connection is served after tracing was turned off' "$(client get tcp 10.1.0.102 80)" A
check_eq 'the trace is empty after tracing was turned off' "$(event ipvs_rs_)" 0
[ "$failures" -eq 0 ] || grep ipvs_rs_ $tracing/trace | sed 's/^/# /'
finish
