#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# /proc/net/ip_vs, ip_vs_conn, ip_vs_stats and ip_vs_stats_percpu to the letter, as exporters and scripts read them.
# timeout: 90
# kernel: stock, since it tests the text of files; connections and failslab read them on the debug kernel

# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"

must module_load "$IPVS_MODULE"
topology_up
client_up client
servers_up A B C

table() {
	on director cat /proc/net/ip_vs
}

# The first line names a version and the table's size, which are the module's own.
header=$'Prot LocalAddress:Port Scheduler Flags\n  -> RemoteAddress:Port Forward Weight ActiveConn InActConn'
check_match 'the first line' "$(table | head -n 1)" 'IP Virtual Server version [0-9]+\.[0-9]+\.[0-9]+ \(size=[0-9]+\)'
check_eq 'an empty table' "$(table | tail -n +2)" "$header"

service -t 10.1.0.100:80 wrr -- A:m:4
service -u 10.1.0.101:5353 rr -- B:i:0
service -f 1 wlc -- C:g:65535

# Rows of services come in the order of a hash, and so each is looked at alone.
rows() {
	table | awk -v protocol="$1" '/^[A-Z]/ { mine = $1 == protocol } mine' | cat -A
}
# As addresses and ports in hexadecimal: 10.1.0.100:80, 10.2.0.11:80.
check_eq 'a TCP service with NAT' "$(rows TCP)" 'TCP  0A010064:0050 wrr  $
  -> 0A02000B:0050      Masq    4      0          0         $'
check_eq 'a UDP service with a tunnel' "$(rows UDP)" 'UDP  0A010065:14E9 rr  $
  -> 0A03000C:14E9      Tunnel  0      0          0         $'
check_eq 'a firewall mark with direct routing' "$(rows FWM)" 'FWM  00000001 wlc $
  -> 0A01000D:0000      Route   65535  0          0         $'

client hold a tcp 10.1.0.100 80 3 >/dev/null
client hold b tcp 10.1.0.100 80 2 >/dev/null
client close b >/dev/null
# Client port, state and time left are as they come; `a` has the three that are open.
# shellcheck disable=SC2317 # called through eval
conn() {
	on director cat /proc/net/ip_vs_conn | sed -E 's/^(TCP 0A000001) [0-9A-F]{4} /\1 PORT /; s/ +[0-9]+ *$/ TIME/' | sort | uniq -c |
		sed 's/^ *//'
}
check_soon 'connections' '2 TCP 0A000001 PORT 0A010064 0050 0A02000B 0050 TIME_WAIT TIME
3 TCP 0A000001 PORT 0A010064 0050 0A02000B 0050 ESTABLISHED TIME
1 Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData' eval 'conn | sort -k2,2r -k9,9r'
check_eq 'connections, as the command lists them' "$(lvs -L -c -n | grep -c '10.1.0.100:80 *10.2.0.11:80')" 5
check_soon 'active and inactive connections' '  -> 0A02000B:0050      Masq    4      3          2         $' \
	eval 'rows TCP | tail -n 1'
# What all services have counted: the same in either file, and in hexadecimal.
# shellcheck disable=SC2016
total() { on director awk -v line="$2" 'NR == line { print $(NF - 4), $(NF - 3), $(NF - 2), $(NF - 1), $NF }' "/proc/net/$1"; }
hex() { statistics -t 10.1.0.100:80 | xargs printf '%X %X %X %X %X'; }
check_eq 'the sum of all traffic' "$(total ip_vs_stats 3)" "$(hex)"
check_eq 'its heading' "$(on director head -n 2 /proc/net/ip_vs_stats)" \
	$'   Total Incoming Outgoing         Incoming         Outgoing\n   Conns  Packets  Packets            Bytes            Bytes'
check_match 'its rates' "$(on director tail -n 2 /proc/net/ip_vs_stats)" \
	$' Conns/s   Pkts/s   Pkts/s          Bytes/s          Bytes/s\n'' +[0-9A-F]+( +[0-9A-F]+){4}'
percpu() { on director cat /proc/net/ip_vs_stats_percpu; }
check_eq 'a line for each processor' "$(percpu | grep -Ec '^ +[0-9A-F]+( +[0-9A-F]+){5}$')" "$(nproc --all)"
sums() {
	local -a sum=(0 0 0 0 0) words
	local n
	percpu | grep -E '^ +[0-9A-F]+( +[0-9A-F]+){5}$' | while read -r -a words; do
		for n in 0 1 2 3 4; do sum[n]=$((sum[n] + 16#${words[n + 1]})); done
	done
	printf '%X %X %X %X %X' "${sum[@]}"
}
check_eq 'which make up the sum' "$(sums)" "$(percpu | awk '$1 == "~" { print $2, $3, $4, $5, $6 }')"
check_eq 'and the sum' "$(percpu | awk '$1 == "~" { print $2, $3, $4, $5, $6 }')" "$(hex)"
before=$(total ip_vs_stats 3)
must lvs -Z -t 10.1.0.100:80
check_eq 'a service that is zeroed leaves the sum' "$(total ip_vs_stats 3)" "$before"
flush
check_eq 'so does one that is deleted' "$(total ip_vs_stats 3)" "$before"
must lvs -Z
check_eq 'all are zeroed' "$(total ip_vs_stats 3)" '0 0 0 0 0'
check_eq 'an empty table again' "$(table | tail -n +2)" "$header"

# More services than fit a page, read whole and in pieces.
for n in $(seq 1 150); do
	printf -- '-A -t 10.1.0.103:%d -s rr\n-a -t 10.1.0.103:%d -r 10.2.0.11:80 -m -w 1\n' "$n" "$n"
done | must lvs -R
check_eq 'many services' "$(table | grep -c ^TCP) $(table | grep -c '  -> 0A02000B:0050')" '150 150'
check_eq 'many services, each once' "$(table | grep ^TCP | sort -u | wc -l)" 150
check_eq 'many services, read in small pieces' "$(on director dd if=/proc/net/ip_vs bs=64 2>/dev/null | md5sum)" "$(table | md5sum)"
check_fails 'nobody may write' 'denied|invalid|permi|i/o' on director sh -c 'echo x >/proc/net/ip_vs'
finish
