#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The host's routing holds for balanced packets: a server without a route, packets with a loopback
# source. With the short cut and without it, for both families.
# timeout: 150

# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"

unload_all "$IPVS_MODULE"
must module_load "$IPVS_MODULE"
topology_up
client_up client
takes_orders errors client errors.py 10.0.0.1 fd00::1
servers_up A B C
for host in client router director A; do
	sysctls $host net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0 net.ipv4.icmp_msgs_per_sec=100000
done
# Quoted checksums are to be whole.
must on client ethtool -K eth0 tx off

ours() { [ "$IPVS_MODULE" != ip_vs ]; }
modes='1 0'
ours || modes=0
short_cut() { ! ours || sysctls director net.ipv4.vs.short_cut="$1"; }
# in_family FAMILY ADDRESS, and the same in brackets where a port follows.
in_family() { if [ "$1" = 4 ]; then echo "$2"; else six "$2"; fi; }
at_port() { if [ "$1" = 4 ]; then echo "$2"; else echo "[$(six "$2")]"; fi; }
director() { must ip -n director "$@"; }

# --- a server without a route ---------------------------------------------------------------------

# The route to the server becomes "unreachable" before a connection, and during one.
client patience 2 >/dev/null
for mode in $modes; do
	short_cut "$mode"
	for family in 4 6; do
		unreachable=3/1/0
		[ $family = 4 ] || unreachable=1/3/0
		vip=$(in_family $family 10.1.0.100) at=$(at_port $family 10.1.0.100)
		for row in 'm 10.2.0.11' 'i 10.3.0.11' 'g 10.1.0.11'; do
			read -r method server <<<"$row"
			what="short_cut=$mode, IPv$family, -$method" tag="$mode$family$method"
			server=$(in_family $family "$server")
			for option in -t -u; do service $option "$at:80" rr -- A:"$method":1; done
			check_eq "$what: a client is served" "$(client hold "$tag" udp "$vip" 80)" A
			director -"$family" route add unreachable "$server" metric 1
			check_eq "$what: without a route to the server, the client of a datagram is told so at once" \
				"$(ask errors closed "$vip" 80 32)" \
				"timeout from $vip $unreachable me>$at:80"
			check_eq "$what: without a route to the server, opening a connection fails at once" \
				"$(client get tcp "$vip" 80)" No-route-to-host
			ask errors watch
			check_eq "$what: a known connection loses its route" "$(client again "$tag")" timeout
			check_match "$what: the client of a known connection is told so" "$(ask errors seen)" \
				"from [^ ]* $unreachable [^ ]*>${at//[\[\]]/.}:80"
			director -"$family" route del unreachable "$server" metric 1
			check_eq "$what: a client is served when there is a route again" "$(client again "$tag")" A
			client close "$tag" >/dev/null
			for option in -t -u; do must lvs -D $option "$at:80"; done
		done
	done
done

# --- packets with a loopback source ---------------------------------------------------------------

# A client on the director uses a loopback address as its source.
client_up loopback director 127.0.0.1
ask loopback patience 1 >/dev/null
must on director nft -f - <<-'END'
	table inet watch {
		chain leaving {
			type filter hook postrouting priority 300
			oifname != "lo" ip saddr 127.0.0.0/8 counter comment "martian"
			oifname != "lo" ip6 saddr ::1 counter comment "martian"
			oifname != "lo" meta l4proto { 4, 41 } counter comment "martian"
		}
	}
END
for row in 'm 10.1.0.103' 'i 10.1.0.102' 'g 10.1.0.101'; do
	read -r method vip <<<"$row"
	service -u "$vip:80" rr -- A:"$method":1
	check_eq "-$method: a loopback source gets no answer from a server elsewhere" \
		"$(ask loopback get udp "$vip" 80)" timeout
done
check_eq 'packets with a loopback source never leave' \
	"$(on director nft list table inet watch | sed -n 's/.*counter packets \([0-9]*\).*/\1/p' | xargs)" '0 0 0'
must on director nft delete table inet watch
finish
