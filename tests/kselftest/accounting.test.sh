#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Accounting: the counts of a processor never decrease, whatever is deleted or zeroed. Only
# connections that are in the table count against a threshold. A new weight does not end an
# overload.
# timeout: 120

# Functions are called through check, and awk's programs are in single quotes.
# shellcheck disable=SC2317,SC2016
# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"

must module_load "$IPVS_MODULE"
topology_up
client_up client
servers_up A B C

# --- thresholds ---------------------------------------------------------------------------------

# limited UPPER LOWER WEIGHT: server A with these.
limited() {
	server_options "A:m:$3" 10.1.0.102:80
	must lvs -e -u 10.1.0.102:80 "${server[@]}" -x "$1" -y "$2"
}

service -u 10.1.0.102:80 rr -- A:m:1
limited 4 1 1
must on director sysctl -qw net.ipv4.vs.conn_max=3
check_eq 'three connections' "$(client hold three udp 10.1.0.102 80 3)" 'A A A'
client patience 2 >/dev/null
check_match 'a fourth is not for the table' "$(client get udp 10.1.0.102 80)" '[a-z].*'
must on director sysctl -qw net.ipv4.vs.conn_max=100
check_eq 'it did not count against the threshold' "$(client hold fourth udp 10.1.0.102 80)" A
check_eq 'a fifth meets the threshold' "$(client get udp 10.1.0.102 80)" refused

# Some end: fewer than the upper threshold, not fewer than the lower one.
must lvs --set 0 0 2
client again three >/dev/null
check_soon 'three have ended' 'A 0/1' connections -u 10.1.0.102:80
must lvs --set 0 0 300
check_eq 'the server is still overloaded' "$(client get udp 10.1.0.102 80)" refused
limited 4 1 2
check_eq 'the server is still overloaded after a new weight' "$(client get udp 10.1.0.102 80)" refused
limited 5 1 2
check_eq 'a higher threshold ends the overload' "$(client get udp 10.1.0.102 80)" A
flush

# --- what processors have counted ---------------------------------------------------------------

# counted COLUMN: the sum over all processors, in decimal. Columns: 1 connections, 2 packets in.
counted() {
	local sum=0 words
	on director sed 1,2d /proc/net/ip_vs_stats_percpu | while read -r -a words; do
		[[ ${words[0]-} =~ ^[0-9A-F]+$ && ${#words[@]} -eq 6 ]] && sum=$((sum + 0x${words[$1]}))
	done
	echo $sum
}

before=$(counted 1)
service -t 10.1.0.100:80 rr -- A:m:1 B:m:1
service -t 10.1.0.101:80 rr -- C:m:1
check_eq 'connections to two services' "$(client get tcp 10.1.0.100 80 4) $(client get tcp 10.1.0.101 80 2)" 'A B A B C C'
check_eq 'processors have counted them' "$(($(counted 1) - before))" 6
# Packets of connections that end may come late.
steady() { [ "$(counted 2)" = "$(sleep 0.5; counted 2)" ]; }
check 'packets in come to an end' wait_for 20 steady
packets=$(counted 2)
check 'processors have counted packets' test "$packets" -ge 18

must destination -d -t 10.1.0.100:80 A:m:1
check_eq 'a deleted destination: its connections stay counted' "$(($(counted 1) - before))" 6
check 'a deleted destination: its packets stay counted' test "$(counted 2)" -ge "$packets"
must destination -a -t 10.1.0.100:80 A:m:1
check_eq 'a destination that comes back counts once' "$(($(counted 1) - before))" 6
must lvs -D -t 10.1.0.101:80
check_eq 'a deleted service: its connections stay counted' "$(($(counted 1) - before))" 6
must lvs -Z
check_eq 'zeroed statistics: connections stay counted' "$(($(counted 1) - before))" 6
check_eq 'a new connection' "$(client get tcp 10.1.0.100 80 1 | sed 's,[AB],S,')" S
check_eq 'a new connection is counted' "$(($(counted 1) - before))" 7
flush
check_eq 'all services deleted: connections stay counted' "$(($(counted 1) - before))" 7
check 'all services deleted: packets stay counted' test "$(counted 2)" -gt "$packets"
finish
