#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Active and inactive connections per destination, and the statistics of services and destinations.
# They are exact after every kind of end, after a timeout, after -Z, and after a load from several
# processes. A service has 256 destinations.
# timeout: 120
# kernel: debug, because sums do not depend on the kernel
#
# Functions are called through wait_for.
# shellcheck disable=SC2317

# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"

must module_load "$IPVS_MODULE"
topology_up
# A client has more than five hundred connections.
ulimit -n 4096
for n in '' 2 3; do client_up "client$n" client "10.0.0.${n:-1}"; done
servers_up A B C

# The ways in which connections end.
for row in 'm NAT 10.1.0.100' 'i TUN 10.1.0.101' 'g DR 10.1.0.102'; do
	read -r method title vip <<<"$row"
	service -t "$vip:80" rr -- A:"$method":1 B:"$method":1 C:"$method":1
	check_eq "$title: a new service has no connections" "$(connections -t "$vip:80")" 'A 0/0 B 0/0 C 0/0'
	client hold "$title" tcp "$vip" 80 7 >/dev/null
	check_soon "$title: open connections are active" 'A 3/0 B 2/0 C 2/0' connections -t "$vip:80"
	client close "$title" B >/dev/null
	check_soon "$title: closed connections are inactive" 'A 3/0 B 0/2 C 2/0' connections -t "$vip:80"
	client reset "$title" C >/dev/null
	check_soon "$title: reset connections are inactive" 'A 3/0 B 0/2 C 0/2' connections -t "$vip:80"
	check_eq "$title: the other connections continue" "$(client again "$title")" 'A A A'
	check_eq "$title: a second request opens no connection" "$(connections -t "$vip:80")" 'A 3/0 B 0/2 C 0/2'
	client close "$title" >/dev/null
	check_soon "$title: all connections become inactive" 'A 0/3 B 0/2 C 0/2' connections -t "$vip:80"
	check_soon "$title: the statistics count every connection" '7 3 2 2' scheduled -t "$vip:80"
done

# A UDP connection ends only by its timeout, which starts with its last packet.
must lvs --set 900 120 3
service -u 10.1.0.103:80 rr -- A:m:1 B:i:1 C:g:1
client hold flows udp 10.1.0.103 80 6 >/dev/null
check_eq 'UDP connections are inactive' "$(connections -u 10.1.0.103:80)" 'A 0/2 B 0/2 C 0/2'
check_soon 'UDP connections leave the counts after the timeout' 'A 0/0 B 0/0 C 0/0' connections -u 10.1.0.103:80
check_soon 'expired UDP connections stay in the statistics' '6 2 2 2' scheduled -u 10.1.0.103:80
must lvs --set 900 120 300
flush

# Exact statistics: 28 octets of headers per packet, the payload, and the server's first line of 32
# octets.
service -u 10.1.0.100:8000 rr -- A:m:1
service -u 10.1.0.101:8000 rr -- A:g:1
client datagrams 10.1.0.100 8000 0 1 100 1400 >/dev/null
client datagrams 10.1.0.101 8000 500 >/dev/null
wanted="1 4 4 $((4 * 28 + 1501)) $((4 * 28 + 1501 + 4 * 32))"
check_soon 'UDP: the service counts packets and bytes' "$wanted" statistics -u 10.1.0.100:8000
check_eq 'UDP: the destination counts packets and bytes' "$(dest_statistics -u 10.1.0.100:8000 A)" "$wanted"
check_soon 'UDP with DR: only incoming packets are counted' '1 1 0 528 0' statistics -u 10.1.0.101:8000
must lvs -Z -u 10.1.0.100:8000
check_eq '-Z of a service zeroes its statistics' "$(statistics -u 10.1.0.100:8000)" '0 0 0 0 0'
check_eq '-Z of a service zeroes the statistics of its destinations' "$(dest_statistics -u 10.1.0.100:8000 A)" '0 0 0 0 0'
check_eq '-Z of a service leaves other services alone' "$(statistics -u 10.1.0.101:8000)" '1 1 0 528 0'
check_eq '-Z leaves the connection counts alone' "$(connections -u 10.1.0.100:8000)" 'A 0/1'
client datagrams 10.1.0.100 8000 10 >/dev/null
check_soon 'statistics count again after -Z' "1 1 1 38 $((38 + 32))" statistics -u 10.1.0.100:8000
must lvs -Z
check_eq '-Z without a service zeroes the first service' "$(statistics -u 10.1.0.100:8000)" '0 0 0 0 0'
check_eq '-Z without a service zeroes the second service' "$(statistics -u 10.1.0.101:8000)" '0 0 0 0 0'
flush

# Load from three processes on every CPU. No connection may be lost or counted twice.
each=60
service -t 10.1.0.103:8080 rr -- A:m:1 B:m:1 C:m:1
service -u 10.1.0.103:8080 rr -- A:m:1 B:i:1 C:g:1
pids=()
for n in '' 2 3; do
	{
		ask "client$n" bulk tcp 10.1.0.103 8080 $each 4
		ask "client$n" bulk udp 10.1.0.103 8080 $each 4
	} >"$work/bulk$n" &
	pids+=($!)
done
wait "${pids[@]}"
check_eq 'load: each server answers its share' "$(cat "$work"/bulk* | tr ' ' '\n' | awk -F= '{ sum[$1] += $2 } END { for (n in sum) print n, sum[n] }' | sort | xargs)" \
	"A $((2 * each)) B $((2 * each)) C $((2 * each))"
check_soon 'load: all TCP connections become inactive' "A 0/$each B 0/$each C 0/$each" connections -t 10.1.0.103:8080
check_eq 'load: the destinations count every UDP connection' "$(connections -u 10.1.0.103:8080)" "A 0/$each B 0/$each C 0/$each"
check_soon 'load: the TCP statistics are exact' "$((3 * each)) $each $each $each" scheduled -t 10.1.0.103:8080
check_soon 'load: the UDP statistics are exact' "$((3 * each)) $each $each $each" scheduled -u 10.1.0.103:8080
flush

# 256 destinations: A has 128 addresses behind tunnels, B and C 64 each.
for row in 'A 10.6.0.0/25 11' 'B 10.6.0.128/26 12' 'C 10.6.0.192/26 13'; do
	read -r host network n <<<"$row"
	must ip -n "$host" route add local "$network" dev lo
	must ip -n router route add "$network" via "10.1.0.$n"
done
at=10.1.0.102:8080
{
	echo "-A -t $at -s wlc"
	for n in {0..255}; do echo "-a -t $at -r 10.6.0.$n:8080 -i"; done
} | must lvs -R
shares() { tr ' ' '\n' | sort | uniq -c | awk '{ print $2, $1 }' | xargs; }
check_eq '256 destinations share 512 connections' "$(client hold wide tcp 10.1.0.102 8080 512 | shares)" 'A 256 B 128 C 128'
check_eq 'each has two of them' "$(lvs -L -n -t $at | awk '$1 == "->" && $2 ~ /^10/ { print $5 }' | sort | uniq -c | xargs)" '256 2'
ask client2 load busy tcp 10.1.0.102 8080 >/dev/null
busy() { [ "$(ask client2 progress busy)" -gt 20 ]; }
check 'clients connect all the time' wait_for 20 busy
for n in {192..255}; do echo "-e -t $at -r 10.6.0.$n:8080 -i -w 0"; done | must lvs -R
check_match '64 destinations are quiesced under load: later connections go to the others' \
	"$(client get tcp 10.1.0.102 8080 64 | shares)" 'A [0-9]+( B [0-9]+)?'
check_match 'no connection is lost meanwhile' "$(ask client2 stop busy)" 'A=[0-9]+( B=[0-9]+)?( C=[0-9]+)?'
check_eq 'connections to all 256 continue' "$(client again wide | shares)" 'A 256 B 128 C 128'
client close wide >/dev/null
flush
finish
