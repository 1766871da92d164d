#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Fragments of both families in any order, of requests and answers, by every method. TCP and UDP
# super-packets (GSO). All with offloads on and off, and no packet has a wrong checksum.
# timeout: 150
# check: debug, because the debug kernel sees every access beyond a fragment

# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"

unload_all "$IPVS_MODULE"
must module_load "$IPVS_MODULE"
topology_up
client_up client
takes_orders pieces client fragments.py 10.0.0.1 fd00::1
servers_start A B C

# For each host, the number of packets dropped for a wrong checksum or as malformed.
wrong() {
	local host
	for host in client director A; do
		# shellcheck disable=SC2016
		on $host awk -v host=$host '
			$1 ~ /^(Tcp|Udp|Icmp):$/ && !($1 in names) { names[$1] = $0; next }
			$1 in names {
				split(names[$1], name)
				for (n = 2; n <= NF; n++) if (name[n] == "InCsumErrors") sum += $n
			}
			/^(Udp6|Icmp6)InCsumErrors/ { sum += $2 }
			END { printf "%s %d ", host, sum }' /proc/net/snmp /proc/net/snmp6
	done
}

rows=('m NAT 10.1.0.100 10.2.0.11 eth1' 'i TUN 10.1.0.101 10.1.0.101 eth0' 'g DR 10.1.0.102 10.1.0.102 eth0')
servers_up A B C
none='client 0 director 0 A 0 '

for row in "${rows[@]}"; do
	read -r method title vip _ <<<"$row"
	for address in "$vip" "[$(six "$vip")]"; do
		service -u "$address:8000" rr -- A:"$method":1
		service -u "$address:80" rr -- A:"$method":1 B:"$method":1
		service -t "$address:80" rr -- A:"$method":1
	done
done

# Handmade fragments. Each datagram opens a new connection.
by_hand() {
	local what=$1 vip=$2 real=$3 device=$4
	check_eq "$what: requests in four fragments arrive" \
		"$(ask pieces send "$vip" 8000 4500 1200 forward backward last-first shuffled doubled)" 'A A A A A'
	check_eq "$what: requests in a hundred fragments arrive" "$(ask pieces send "$vip" 8000 2400 24 forward backward shuffled)" 'A A A'
	check_eq "$what: requests whose first fragment holds only the ports arrive" "$(ask pieces send "$vip" 8000 20 8 forward backward)" 'A A'
	check_eq "$what: answers in fragments arrive" \
		"$(ask pieces answer "$vip" 8000 "$real" "$device" 4500 1200 forward backward last-first shuffled doubled)" \
		'good good good good good'
	ask pieces patience 0.3 >/dev/null
	check_eq "$what: requests with overlapping or missing fragments get no answer" \
		"$(ask pieces overlap "$vip" 8000 4500 1200) $(ask pieces send "$vip" 8000 4500 1200 lossy headless)" \
		'timeout timeout timeout'
	check_eq "$what: answers with missing fragments do not arrive" \
		"$(ask pieces answer "$vip" 8000 "$real" "$device" 4500 1200 lossy headless)" 'timeout timeout'
	ask pieces patience 3 >/dev/null
	check_eq "$what: a whole datagram after broken ones is answered" "$(client get udp "$vip" 8000)" A
	check_eq "$what: rr schedules each fragmented datagram once" \
		"$(ask pieces send "$vip" 80 3000 1200 forward backward shuffled backward)" 'A B A B'
}

# Fragments that the hosts make.
as_they_come() {
	local what=$1 vip=$2
	check_eq "$what: large datagrams are echoed" "$(client datagrams "$vip" 8000 1472-1474 2961 8000 20001 60000)" 'A=7'
	check_eq "$what: datagrams joined by offloads arrive" "$(ask pieces segments "$vip" 8000 1000 20)" 'A=20'
	check_eq "$what: large bodies arrive" "$(client body "$vip" 80 1 65537 500001)" 'A A A'
}

# sizes WHAT ADDRESS SERVER DEVICE [df]: fragments leave no larger than they arrived.
sizes() {
	local what=$1 vip=$2 real=$3 device=$4 df=${5-}
	local pieces=400+400+400
	check_eq "$what: requests leave in fragments no larger than they came" \
		"$(ask pieces sizes "$vip" 8000 "$device" 1192 400 "$df")" "$pieces $pieces"
	[ "$device" = eth1 ] || return
	check_eq "$what: answers leave in fragments no larger than they came" \
		"$(ask pieces answer_sizes "$vip" 8000 "$real" 1192 400 "$df")" "$pieces"
}

for row in "${rows[@]}"; do
	read -r method title vip server device <<<"$row"
	by_hand "IPv4, $title" "$vip" "$server" "$device"
	by_hand "IPv6, $title" "$(six "$vip")" "$(six "$server")" "$device"
	check_eq "IPv4, $title: requests in fragments with DF arrive" \
		"$(ask pieces send "$vip" 8000 1192 400 df) $(ask pieces send "$vip" 8000 4500 1200 df)" 'A A'
	# A tunnel carries the whole datagram.
	[ "$method" != i ] || continue
	sizes "IPv4, $title" "$vip" "$server" "$device"
	sizes "IPv4 with DF, $title" "$vip" "$server" "$device" df
	sizes "IPv6, $title" "$(six "$vip")" "$(six "$server")" "$device"
done
check_eq 'no packet has a wrong checksum' "$(wrong)" "$none"

# Routers may fragment the segments of super-packets.
sysctls director net.ipv4.vs.pmtu_disc=0
must on director ethtool -K eth0 tx off tso off gso off tx-udp-segmentation off
check_eq 'TUN: outer packets of segmented bursts have identifications of their own' \
	"$(ask pieces identified 10.1.0.101 8000 1000 20 3)" '60 60'
must on director ethtool -K eth0 tx on tso on gso on tx-udp-segmentation on
sysctls director net.ipv4.vs.pmtu_disc=1

# Packets with DF may be lost until the client knows the MTU of the tunnel.
client patience 0.5 >/dev/null
for address in 10.1.0.101 fd00:0:0:1::101; do client datagrams $address 8000 1472 1452 >/dev/null; done
client patience 10 >/dev/null

# Each offload that other offloads depend on.
features() {
	local host device
	for host in client director A B C; do
		for device in eth0 eth1; do
			[ $host$device = clienteth1 ] || must on $host ethtool -K $device "$@"
		done
	done
}
for way in 'on' 'tx off' 'gso off' 'off'; do
	case $way in
	on | off) offloads "$way" ;;
	*)
		offloads on
		# shellcheck disable=SC2086
		features $way
		;;
	esac
	for row in "${rows[@]}"; do
		read -r method title vip _ <<<"$row"
		as_they_come "IPv4, $title, offloads $way" "$vip"
		as_they_come "IPv6, $title, offloads $way" "$(six "$vip")"
	done
	check_eq "offloads $way: no packet has a wrong checksum" "$(wrong)" "$none"
done
offloads on

# UDP packets without a checksum stay without one; UDP packets with one keep a correct one.
must on A nft -f - <<-'END'
	table inet sums {
		chain early {
			type filter hook prerouting priority raw
			udp dport 8000 udp checksum 0 counter
			udp dport 8000 udp checksum != 0 counter
		}
	}
END
# The C director adds a checksum when it rewrites a packet.
none='2 0'
[ "$IPVS_MODULE" != ip_vs ] || none='0 2'
sums() { on A nft reset rules | sed -n 's/.*counter packets \([0-9]*\).*/\1/p' | xargs; }
for row in "${rows[@]}"; do
	read -r method title vip _ <<<"$row"
	[ "$method" = m ] || none='2 0'
	# A tunnel's inner packet passes the rules a second time.
	sums >/dev/null
	check_eq "$title: datagrams without checksums get none" "$(client unchecked "$vip" 8000 10 1000) $(sums)" "A=2 $none"
	check_eq "$title: datagrams with checksums keep correct ones" "$(client datagrams "$vip" 8000 10 1000) $(sums)" 'A=2 0 2'
done
finish
