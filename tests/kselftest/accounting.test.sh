#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Accounting. The counts of a processor never decrease, even when services are deleted or statistics
# zeroed. Only connections in the table count against a threshold. A new weight does not end an
# overload.
# timeout: 120

# Functions are called through check; awk programs are in single quotes.
# shellcheck disable=SC2317,SC2016
# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"

must module_load "$IPVS_MODULE"
topology_up
client_up client
servers_up A B C

# --- thresholds -----------------------------------------------------------------------------------

# limited UPPER LOWER WEIGHT: sets the thresholds and the weight of server A.
limited() {
	server_options "A:m:$3" 10.1.0.102:80
	must lvs -e -u 10.1.0.102:80 "${server[@]}" -x "$1" -y "$2"
}

service -u 10.1.0.102:80 rr -- A:m:1
limited 4 1 1
must on director sysctl -qw net.ipv4.vs.conn_max=3
check_eq 'the server takes three connections' "$(client hold three udp 10.1.0.102 80 3)" 'A A A'
client patience 2 >/dev/null
check_match 'conn_max keeps a fourth connection out of the table' "$(client get udp 10.1.0.102 80)" '[a-z].*'
must on director sysctl -qw net.ipv4.vs.conn_max=100
check_eq 'the refused connection did not count against the threshold' "$(client hold fourth udp 10.1.0.102 80)" A
check_eq 'the upper threshold refuses a fifth connection' "$(client get udp 10.1.0.102 80)" refused

# Three connections end. The server is now below its upper threshold, but not below the lower one.
must lvs --set 0 0 2
client again three >/dev/null
check_soon 'three connections end' 'A 0/1' connections -u 10.1.0.102:80
must lvs --set 0 0 300
check_eq 'the server stays overloaded above the lower threshold' "$(client get udp 10.1.0.102 80)" refused
limited 4 1 2
check_eq 'a new weight does not end the overload' "$(client get udp 10.1.0.102 80)" refused
limited 5 1 2
check_eq 'a higher threshold ends the overload' "$(client get udp 10.1.0.102 80)" A
flush

# --- counts per processor -------------------------------------------------------------------------

# counted COLUMN: prints the sum over all processors, in decimal. Columns: 1 connections, 2 packets
# in.
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
check_eq 'two services serve connections' "$(client get tcp 10.1.0.100 80 4) $(client get tcp 10.1.0.101 80 2)" 'A B A B C C'
check_eq 'the processors count the connections' "$(($(counted 1) - before))" 6
# The last packets of closing connections may be late.
steady() { [ "$(counted 2)" = "$(sleep 0.5; counted 2)" ]; }
check 'the count of incoming packets becomes steady' wait_for 20 steady
packets=$(counted 2)
check 'the processors count packets' test "$packets" -ge 18

must destination -d -t 10.1.0.100:80 A:m:1
check_eq 'the connections of a deleted destination stay counted' "$(($(counted 1) - before))" 6
check 'the packets of a deleted destination stay counted' test "$(counted 2)" -ge "$packets"
must destination -a -t 10.1.0.100:80 A:m:1
check_eq 'a destination that is added again is not counted twice' "$(($(counted 1) - before))" 6
must lvs -D -t 10.1.0.101:80
check_eq 'the connections of a deleted service stay counted' "$(($(counted 1) - before))" 6
must lvs -Z
check_eq 'connections stay counted after -Z' "$(($(counted 1) - before))" 6
check_eq 'the service serves a new connection' "$(client get tcp 10.1.0.100 80 1 | sed 's,[AB],S,')" S
check_eq 'the processors count the new connection' "$(($(counted 1) - before))" 7
flush
check_eq 'connections stay counted after a flush' "$(($(counted 1) - before))" 7
check 'packets stay counted after a flush' test "$(counted 2)" -gt "$packets"
finish
