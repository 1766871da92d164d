#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# /proc/net/ip_vs to the letter, as exporters and scripts read it.
# timeout: 90

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
check_soon 'active and inactive connections' '  -> 0A02000B:0050      Masq    4      3          2         $' \
	eval 'rows TCP | tail -n 1'
flush
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
