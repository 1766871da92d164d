#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The exact text of /proc/net/ip_vs, ip_vs_conn, ip_vs_stats and ip_vs_stats_percpu, as exporters
# and scripts read them.
# timeout: 90
# check: debug, because texts do not depend on the kernel

# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"

must module_load "$IPVS_MODULE"
topology_up
client_up client
servers_up A B C

table() {
	on director cat /proc/net/ip_vs
}

# The first line has a version and the size of the table, which differ between modules.
header=$'Prot LocalAddress:Port Scheduler Flags\n  -> RemoteAddress:Port Forward Weight ActiveConn InActConn'
check_match 'ip_vs begins with the version and the size' "$(table | head -n 1)" 'IP Virtual Server version [0-9]+\.[0-9]+\.[0-9]+ \(size=[0-9]+\)'
check_eq 'an empty table has only the heading' "$(table | tail -n +2)" "$header"

service -t 10.1.0.100:80 wrr -- A:m:4
service -u 10.1.0.101:5353 rr -- B:i:0
service -f 1 wlc -- C:g:65535

# Services are listed in the order of a hash, so the checks look at one at a time.
rows() {
	table | awk -v protocol="$1" '/^[A-Z]/ { mine = $1 == protocol } mine' | cat -A
}
# Addresses and ports are hexadecimal: 10.1.0.100:80, 10.2.0.11:80.
check_eq 'ip_vs lists a TCP service with NAT' "$(rows TCP)" 'TCP  0A010064:0050 wrr  $
  -> 0A02000B:0050      Masq    4      0          0         $'
check_eq 'ip_vs lists a UDP service with a tunnel' "$(rows UDP)" 'UDP  0A010065:14E9 rr  $
  -> 0A03000C:14E9      Tunnel  0      0          0         $'
check_eq 'ip_vs lists a firewall mark with direct routing' "$(rows FWM)" 'FWM  00000001 wlc $
  -> 0A01000D:0000      Route   65535  0          0         $'

client hold a tcp 10.1.0.100 80 3 >/dev/null
client hold b tcp 10.1.0.100 80 2 >/dev/null
client close b >/dev/null
# Client ports, states and remaining times vary. `a` has the three open connections.
# shellcheck disable=SC2317 # called through eval
conn() {
	on director cat /proc/net/ip_vs_conn | sed -E 's/^(TCP 0A000001) [0-9A-F]{4} /\1 PORT /; s/ +[0-9]+ *$/ TIME/' | sort | uniq -c |
		sed 's/^ *//'
}
check_soon 'ip_vs_conn lists the connections' '2 TCP 0A000001 PORT 0A010064 0050 0A02000B 0050 TIME_WAIT TIME
3 TCP 0A000001 PORT 0A010064 0050 0A02000B 0050 ESTABLISHED TIME
1 Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData' eval 'conn | sort -k2,2r -k9,9r'
check_eq 'the command lists the same connections' "$(lvs -L -c -n | grep -c '10.1.0.100:80 *10.2.0.11:80')" 5
check_soon 'ip_vs counts active and inactive connections' '  -> 0A02000B:0050      Masq    4      3          2         $' \
	eval 'rows TCP | tail -n 1'
# The sum over all services. Both files have it, in hexadecimal.
# shellcheck disable=SC2016
total() { on director awk -v line="$2" 'NR == line { print $(NF - 4), $(NF - 3), $(NF - 2), $(NF - 1), $NF }' "/proc/net/$1"; }
hex() { statistics -t 10.1.0.100:80 | xargs printf '%X %X %X %X %X'; }
check_eq 'ip_vs_stats has the sum of all traffic' "$(total ip_vs_stats 3)" "$(hex)"
check_eq 'ip_vs_stats has a heading' "$(on director head -n 2 /proc/net/ip_vs_stats)" \
	$'   Total Incoming Outgoing         Incoming         Outgoing\n   Conns  Packets  Packets            Bytes            Bytes'
check_match 'ip_vs_stats ends with the rates' "$(on director tail -n 2 /proc/net/ip_vs_stats)" \
	$' Conns/s   Pkts/s   Pkts/s          Bytes/s          Bytes/s\n'' +[0-9A-F]+( +[0-9A-F]+){4}'
percpu() { on director cat /proc/net/ip_vs_stats_percpu; }
check_eq 'ip_vs_stats_percpu has a line for each processor' "$(percpu | grep -Ec '^ +[0-9A-F]+( +[0-9A-F]+){5}$')" "$(nproc --all)"
sums() {
	local -a sum=(0 0 0 0 0) words
	local n
	percpu | grep -E '^ +[0-9A-F]+( +[0-9A-F]+){5}$' | while read -r -a words; do
		for n in 0 1 2 3 4; do sum[n]=$((sum[n] + 16#${words[n + 1]})); done
	done
	printf '%X %X %X %X %X' "${sum[@]}"
}
check_eq 'the lines of ip_vs_stats_percpu add up to its sum' "$(sums)" "$(percpu | awk '$1 == "~" { print $2, $3, $4, $5, $6 }')"
check_eq 'ip_vs_stats_percpu has the sum of all traffic' "$(percpu | awk '$1 == "~" { print $2, $3, $4, $5, $6 }')" "$(hex)"
before=$(total ip_vs_stats 3)
must lvs -Z -t 10.1.0.100:80
check_eq 'zeroing a service leaves the sum unchanged' "$(total ip_vs_stats 3)" "$before"
flush
check_eq 'deleting a service leaves the sum unchanged' "$(total ip_vs_stats 3)" "$before"
must lvs -Z
check_eq '-Z without a service zeroes the sum' "$(total ip_vs_stats 3)" '0 0 0 0 0'
check_eq 'a flushed table has only the heading' "$(table | tail -n +2)" "$header"

# More services than fit into a page, read at once and in pieces.
for n in $(seq 1 150); do
	printf -- '-A -t 10.1.0.103:%d -s rr\n-a -t 10.1.0.103:%d -r 10.2.0.11:80 -m -w 1\n' "$n" "$n"
done | must lvs -R
check_eq 'ip_vs lists all of many services' "$(table | grep -c ^TCP) $(table | grep -c '  -> 0A02000B:0050')" '150 150'
check_eq 'ip_vs lists each of many services once' "$(table | grep ^TCP | sort -u | wc -l)" 150
check_eq 'small reads give the same text as large ones' "$(on director dd if=/proc/net/ip_vs bs=64 2>/dev/null | md5sum)" "$(table | md5sum)"
check_fails 'ip_vs cannot be written' 'denied|invalid|permi|i/o' on director sh -c 'echo x >/proc/net/ip_vs'
finish
