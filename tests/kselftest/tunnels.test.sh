#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Tunnels to real servers, of each kind, with each family inside and outside: the packets that
# arrive, their format on the wire, the MTU, and the errors to the client about larger packets. The
# servers decapsulate with the tunnel devices of the kernel.
# timeout: 180
# check: debug, because formats do not depend on the kernel

# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"

unload_all "$IPVS_MODULE"
must module_load "$IPVS_MODULE"
modprobe -a fou fou6 ip_gre ip6_gre 2>/dev/null
topology_up
client_up client
takes_orders errors client errors.py 10.0.0.1 fd00::1
servers_start A B C
for host in client router director A; do
	sysctls $host net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0 net.ipv4.icmp_msgs_per_sec=100000
done
ours() { [ "$IPVS_MODULE" != ip_vs ]; }

# Decapsulation on A. Both kinds of GUE come out as plain tunnels. GRE needs a device for packets
# with checksums and one for packets without; each rejects the other kind.
have_sit=
[ ! -e /proc/sys/net/ipv4/conf/sit0 ] || have_sit=1
must ip -n A fou add port 6080 gue
must ip -n A -6 fou add port 6080 gue
have_gre6=
gre() {
	{
		echo "link add gre4 type gre local 10.3.0.11 remote 10.1.0.1 $1"
		echo 'link set gre4 up'
	} | batch -n A
	sysctls A net.ipv4.conf.gre4.rp_filter=0
	if ip -n A link add gre6 type ip6gre local fd00:0:0:3::11 remote fd00:0:0:1::1 "$1"; then
		have_gre6=1
		must ip -n A link set gre6 up
		sysctls A net.ipv4.conf.gre6.rp_filter=0
	fi
}
no_gre() {
	must ip -n A link del gre4
	[ -z "$have_gre6" ] || must ip -n A link del gre6
}

# Counts the packets that reach A from the director, by kind. "sum" marks an outer UDP checksum, or
# the checksum flag of GRE.
must on A nft -f - <<-'END'
	table inet wire {
		chain early {
			type filter hook prerouting priority raw
			iifname != eth0 return
			ip saddr 10.1.0.1 meta l4proto 4 counter comment "4in4"
			ip saddr 10.1.0.1 meta l4proto 41 counter comment "6in4"
			ip6 saddr fd00:0:0:1::1 meta l4proto 4 counter comment "4in6"
			ip6 saddr fd00:0:0:1::1 meta l4proto 41 counter comment "6in6"
			ip saddr 10.1.0.1 udp dport 6080 udp checksum 0 counter comment "gue4"
			ip saddr 10.1.0.1 udp dport 6080 udp checksum != 0 counter comment "gue4-sum"
			ip6 saddr fd00:0:0:1::1 udp dport 6080 udp checksum 0 counter comment "gue6"
			ip6 saddr fd00:0:0:1::1 udp dport 6080 udp checksum != 0 counter comment "gue6-sum"
			ip saddr 10.1.0.1 meta l4proto 47 @th,0,16 & 0x8000 == 0 counter comment "gre4"
			ip saddr 10.1.0.1 meta l4proto 47 @th,0,16 & 0x8000 != 0 counter comment "gre4-sum"
			ip6 saddr fd00:0:0:1::1 meta l4proto 47 @th,0,16 & 0x8000 == 0 counter comment "gre6"
			ip6 saddr fd00:0:0:1::1 meta l4proto 47 @th,0,16 & 0x8000 != 0 counter comment "gre6-sum"
		}
	}
END
wire() { on A nft reset rules | sed -n 's/.*counter packets [1-9].* comment "\(.*\)"/\1/p' | xargs; }

# checksums HOST: prints the number of packets dropped for a wrong checksum.
checksums() {
	# shellcheck disable=SC2016
	on "$1" awk '$1 ~ /^(Tcp|Udp|Icmp):$/ && !($1 in names) { names[$1] = $0; next }
		$1 in names { split(names[$1], name); for (n = 2; n <= NF; n++) if (name[n] == "InCsumErrors") sum += $n }
		/^(Udp6|Icmp6)InCsumErrors/ { sum += $2 }
		END { print sum + 0 }' /proc/net/snmp /proc/net/snmp6
}
servers_up A B C

number=0
# kind TITLE INNER OUTER OPTIONS ON-THE-WIRE OVERHEAD: tests a service of the inner family with A
# behind such a tunnel.
kind() {
	local title=$1 inner=$2 outer=$3 options=$4 wire=$5 mtu=$((1500 - $6)) vip at server what
	what="$title, $inner in $outer"
	number=$((number % 4))
	vip=10.1.0.10$number at=10.1.0.10$number
	if [ "$inner" = 6 ]; then vip=$(six $vip) at="[$vip]"; fi
	number=$((number + 1))
	server=10.3.0.11 router=10.1.0.11
	if [ "$outer" = 6 ]; then server=$(six $server) router=$(six $router); fi
	for option in -t -u; do
		must lvs -A $option "$at:80" -s rr
		# shellcheck disable=SC2086
		must lvs -a $option "$at:80" -r $server -i $options
	done
	local sums
	sums="$(checksums A) $(checksums client)"
	wire >/dev/null
	check_eq "$what: datagrams arrive" "$(client datagrams "$vip" 80 0-8 1200)" 'A=10'
	check_eq "$what: packets have the expected format" "$(wire)" "$wire"
	check_eq "$what: connections are served at the virtual address" "$(client get tcp "$vip" 80 2) $(client seen tcp "$vip" 80)" "A A $at:80"
	check_eq "$what: large bodies arrive" "$(client body "$vip" 80 1 100001 1000001)" 'A A A'
	check_eq "$what: the client learns the MTU of the tunnel" "$(ask errors learns "$vip" 80 $((1500 - 8 - (inner == 4 ? 20 : 40))) $mtu)" "$mtu A"

	# A narrow link on the tunnel's path, beyond the router, causes an error. The C director
	# handles such errors only if everything is IPv4.
	if [ "$outer$inner" = 44 ] || ours; then
		must ip -n router route change "$server" via "$router" mtu lock 1400
		mtu=$((mtu - 100))
		check_eq "$what: the client learns the MTU of a narrow link" "$(ask errors learns "$vip" 80 1380 $mtu)" "$mtu A"
		check_eq "$what: large bodies arrive across the narrow link" "$(client body "$vip" 80 100001)" A
		must ip -n router route change "$server" via "$router"
	fi
	# With remote checksums, the C director sends wrong checksums in segments of super-packets.
	if ours || [[ $options != *remcsum ]]; then
		check_eq "$what: no packet has a wrong checksum" "$(checksums A) $(checksums client)" "$sums"
	fi
	check_eq "$what: the rules show the tunnel options" "$(lvs -S -n | grep -c -- "$server.*-i.*$options")" 2
	flush
	for host in client director; do
		ip -n $host route flush cache
		ip -6 -n $host route flush cache
	done
}

# Some kernels cannot decapsulate IPv6 in IPv4.
families() {
	local outer inner name=$1 options=$2 wire=$3 overhead=$4
	for outer in 4 6; do
		[ "$wire$outer" != gre6 ] || [ -n "$have_gre6" ] || { skip "$name over IPv6" 'this kernel has no such tunnel'; continue; }
		for inner in 4 6; do
			if [ "$outer$inner" = 46 ] && [ -z "$have_sit" ] && [ "$wire" != gre ]; then
				skip "$name, 6 in 4" 'this kernel has no such tunnel'
				continue
			fi
			case $wire in
			ipip) seen=${inner}in$outer ;;
			*) seen=$wire$outer${5:+-$5} ;;
			esac
			kind "$name" $inner $outer "$options" "$seen" $((overhead + (outer == 4 ? 20 : 40)))
		done
	done
}

families 'IP in IP' '' ipip 0
families 'GUE' '--tun-type gue --tun-port 6080 --tun-nocsum' gue 12
families 'GUE, checksum' '--tun-type gue --tun-port 6080 --tun-csum' gue 12 sum
families 'GUE, remote checksum' '--tun-type gue --tun-port 6080 --tun-remcsum' gue 20 sum
gre nocsum
families 'GRE' '--tun-type gre --tun-nocsum' gre 4
no_gre
gre csum
families 'GRE, checksum' '--tun-type gre --tun-csum' gre 8 sum
no_gre
finish
