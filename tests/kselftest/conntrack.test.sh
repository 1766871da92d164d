#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Connection tracking of balanced connections of both families, with and without the short cut.
# net.ipv4.vs.conntrack turns it on.
# timeout: 120

# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"

unload_all "$IPVS_MODULE"
must module_load "$IPVS_MODULE"
topology_up
client_up client
servers_up A B C

ours() { [ "$IPVS_MODULE" != ip_vs ]; }
# The C director has no short cut.
modes='1 0'
ours || modes=0
short_cut() { ! ours || sysctls director net.ipv4.vs.short_cut="$1"; }
for at in 10.1.0.100:80 '[fd00:0:0:1::100]:80'; do service -t "$at" rr -- A:m:1; done
# A rule that matches the state loads conntrack.
must on director nft 'table inet tracking { chain forward { type filter hook forward priority filter;
	ct state invalid counter comment "invalid"; ct state established counter comment "established"; }; }'
# tracked FAMILY VIP SERVER: prints the number of tracked connections to the virtual address, and
# how many of them expect answers from the server's address.
tracked() {
	on director conntrack -L -f "ipv$1" -p tcp 2>/dev/null | awk -v vip="dst=$2" -v server="src=$3" '
		$0 ~ vip " " { count++; if ($0 ~ server " ") known++ } END { print count + 0, known + 0 }'
}
for mode in $modes; do
	short_cut "$mode"
	for setting in 0 1; do
		sysctls director net.ipv4.vs.conntrack=$setting
		for pair in '4 10.1.0.100 10.2.0.11' '6 fd00:0:0:1::100 fd00:0:0:2::11'; do
			read -r family address server <<<"$pair"
			on director conntrack -F >/dev/null 2>&1
			check_eq "short_cut=$mode, conntrack=$setting, IPv$family: connections are served" \
				"$(client get tcp "$address" 80 3) $(client body "$address" 80 100001)" 'A A A A'
			wanted='0 0'
			[ $setting = 0 ] || wanted='4 4'
			check_eq "short_cut=$mode, conntrack=$setting, IPv$family: conntrack has the expected entries" "$(tracked "$family" "$address" "$server")" "$wanted"
		done
	done
done
finish
