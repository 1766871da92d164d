#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# ICMP and ICMPv6 about balanced connections: echo; errors from real servers, from clients and from
# hops between them, with long and short quotes; path MTU discovery across narrow links on either
# side; traceroute; redirects.
# timeout: 150
# check: debug, because ICMP works alike on both kernels

# Other functions call these functions.
# shellcheck disable=SC2317
# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"

unload_all "$IPVS_MODULE"
must module_load "$IPVS_MODULE"
topology_up
client_up client
takes_orders errors client errors.py 10.0.0.1 fd00::1
servers_start A B C

ours() { [ "$IPVS_MODULE" != ip_vs ]; }

# in_both FUNCTION: calls the function for each family, with that family's addresses in variables.
in_both() {
	local family vip nat_vip tun_vip dr_vip nat tun dr client open close header
	family=4 vip=10.1.0.100 nat_vip=10.1.0.101 tun_vip=10.1.0.102 dr_vip=10.1.0.103
	nat=10.2.0.11 tun=10.3.0.11 dr=10.1.0.11 client=10.0.0.1 open='' close='' header=20
	"$@"
	family=6 vip=$(six "$vip") nat_vip=$(six "$nat_vip") tun_vip=$(six "$tun_vip") dr_vip=$(six "$dr_vip")
	nat=$(six "$nat") tun=$(six "$tun") dr=$(six "$dr") client=$(six "$client") open='[' close=']' header=40
	"$@"
}

# --- a hop between the director and A -------------------------------------------------------------

# The hop decrements TTLs and has its own MTU. It is on the back network, and its packets to clients
# pass the director.
hosts+=' hop'
[ ! -e /run/netns/hop ] || must ip netns del hop
{
	echo 'netns add hop'
	echo 'link add eth0 netns hop type veth peer name hop0 netns router'
} | batch
must ip -n router link set hop0 up master back
{
	echo 'link set eth0 up'
	echo 'address add 10.2.0.253/24 dev eth0'
	echo 'address add fd00:0:0:2::253/64 dev eth0'
	echo 'route add default via 10.2.0.1'
	echo 'route add default via fd00:0:0:2::1'
} | batch -n hop
sysctls hop net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.conf.{all,eth0}.{rp_filter,send_redirects}=0 \
	net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0 net.ipv4.icmp_msgs_per_sec=100000
for host in client router director A; do
	sysctls $host net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0 net.ipv4.icmp_msgs_per_sec=100000
done
director() { must ip -n director "$@"; }
# Quoted packets must have complete checksums.
must on client ethtool -K eth0 tx off
servers_up A B C

# --- errors about requests and about answers ------------------------------------------------------

services() {
	local row method address
	for row in "m $nat_vip" "i $tun_vip" "g $dr_vip"; do
		read -r method address <<<"$row"
		service -u "$open$address$close:8000" rr -- A:"$method":1
		service -t "$open$address$close:80" rr -- A:"$method":1
	done
	service -u "$open$vip$close:9" rr -- A:m:1:7
	service -u "$open$vip$close:8" rr -- A:g:1
}
in_both services

pings() {
	local address
	for address in "$vip" "$nat_vip"; do
		check_eq "the director answers a ping to $address" \
			"$(on client ping -n -c 1 -W $((5 * TIME_SCALE)) "$address" | sed -n 's/.* bytes from \([^ ]*\):.*/\1/p')" "$address"
	done
}
in_both pings

# A has a closed port. The error quotes the whole datagram, or as much as fits into an error.
closed() {
	local unreachable=3/3/0 size sizes='0 1 32'
	# The C director does not update the quoted checksum.
	local wrong=''
	ours || wrong=' checksum'
	[ "$family" = 4 ] || unreachable=1/4/0
	for size in $sizes; do
		check_eq "IPv$family: NAT translates the error about a closed port, $size octets" "$(ask errors closed "$vip" 9 "$size")" \
			"refused from $vip $unreachable me>$open$vip$close:9$wrong"
	done
	check_match "IPv$family: NAT translates the error about a closed port, long quote" "$(ask errors closed "$vip" 9 1400)" \
		"refused from $vip $unreachable me>${open:+\\[}$vip${close:+\\]}:9"
	check_eq "IPv$family: DR: the error about a closed port reaches the client" "$(ask errors closed "$vip" 8 32)" \
		"refused from $vip $unreachable me>$open$vip$close:8"
}
in_both closed

from_server() {
	local kind code rest words
	local errors='3/0/0 3/1/0 3/3/0 3/4/1400 3/13/0 4/0/0 11/0/0 11/1/0 12/0/335544320'
	[ "$family" = 4 ] || errors='1/0/0 1/1/0 1/3/0 1/4/0 2/0/1400 3/0/0 3/1/0 4/0/6 4/1/40'
	ask errors open "udp$family" udp "$nat_vip" 8000 >/dev/null
	ask errors open "tcp$family" tcp "$nat_vip" 80 >/dev/null
	local wrong=''
	ours || wrong=' checksum'
	for words in $errors; do
		IFS=/ read -r kind code rest <<<"$words"
		# The C director does not translate parameter problems.
		if ! ours && [ "$kind" = 12 ]; then continue; fi
		check_eq "IPv$family: the client receives $words from A, whole quote" \
			"$(ask errors from_server "udp$family" "$nat" 8000 "$kind" "$code" "$rest" 48)" \
			"from $nat_vip $words me>$open$nat_vip$close:8000$wrong"
		check_eq "IPv$family: the client receives $words from A, quote of 8 octets" \
			"$(ask errors from_server "udp$family" "$nat" 8000 "$kind" "$code" "$rest" 8)" \
			"from $nat_vip $words me>$open$nat_vip$close:8000"
		check_eq "IPv$family: the client receives $words about TCP from A, quote of 8 octets" \
			"$(ask errors from_server "tcp$family" "$nat" 80 "$kind" "$code" "$rest" 8)" \
			"from $nat_vip $words me>$open$nat_vip$close:80"
	done
}
in_both from_server
check_eq 'an IPv4 socket receives the error' "$(ask errors open fresh udp 10.1.0.101 8000
	ask errors from_server fresh 10.2.0.11 8000 3 3 0 8 >/dev/null
	ask errors pending fresh)" $'A\nECONNREFUSED'
check_eq 'an IPv6 socket receives the error' "$(ask errors open fresh udp fd00:0:0:1::101 8000
	ask errors from_server fresh fd00:0:0:2::11 8000 1 4 0 8 >/dev/null
	ask errors pending fresh)" $'A\nECONNREFUSED'

from_client() {
	local words kind code rest octets title server device seen address
	local errors='3/3/0 3/4/1400 11/1/0'
	[ "$family" = 4 ] || errors='1/4/0 2/0/1400 3/1/0'
	for row in "NAT $nat_vip $nat eth1 $nat" "TUN $tun_vip $tun_vip tunl $tun_vip" "DR $dr_vip $dr_vip eth0 $dr_vip"; do
		read -r title address server device seen <<<"$row"
		if [ "$device" = tunl ]; then
			device=tunl0
			[ "$family" = 4 ] || device=ip6tnl0
		fi
		check_eq "IPv$family, $title: a flow is served" "$(ask errors open "$title$family" udp "$address" 8000)" A
		for words in $errors; do
			IFS=/ read -r kind code rest <<<"$words"
			for octets in 48 8; do
				# As above. Quotes that are not rewritten keep a correct checksum.
				wrong=
				if ! ours && [ "$octets" = 48 ] && [ "$title" = NAT ]; then wrong=' checksum'; fi
				check_eq "IPv$family, $title: A receives $words from the client, quote of $octets octets" \
					"$(ask errors from_client "$title$family" "$server" "$device" "$kind" "$code" "$rest" "$octets")" \
					"$words $open$seen$close:8000>client$wrong"
			done
		done
	done
}
in_both from_client

# Errors about a service on a mark have no mark, and without it, the virtual address is not local.
must on director nft -f - <<-'END'
	table inet marks {
		chain early {
			type filter hook prerouting priority mangle
			meta l4proto udp ip daddr 10.4.0.1 meta mark set 1
			meta l4proto udp ip6 daddr fd00:0:0:4::1 meta mark set 1
		}
	}
END
by_mark() {
	local words kind code rest address=10.4.0.1 mark=1 errors='3/3/0 3/4/1400'
	[ "$family" = 4 ] || { address=$(six "$address") mark='1 -6' errors='1/4/0 2/0/1400'; }
	service -f "$mark" rr -- A:m:1
	check_eq "IPv$family, a mark: a flow is served" \
		"$(ask errors open "mark$family" udp "$address" 8000)" A
	for words in $errors; do
		IFS=/ read -r kind code rest <<<"$words"
		check_eq "IPv$family, a mark: A receives $words from the client" \
			"$(ask errors from_client "mark$family" "$nat" eth1 "$kind" "$code" "$rest" 8)" \
			"$words $open$nat$close:8000>client"
	done
	# shellcheck disable=SC2086
	must lvs -D -f $mark
}
in_both by_mark

# --- hops -----------------------------------------------------------------------------------------

director route add 10.2.0.11 via 10.2.0.253
director route add fd00:0:0:2::11 via fd00:0:0:2::253
trace() {
	# As above.
	local hop=exceeded
	ours || hop='.* checksum'
	check_match "IPv$family: traceroute shows the hop and the server" "$(ask errors trace "$nat_vip" 8000 4)" "exceeded exceeded $hop A"
	check_eq "IPv$family: a packet with enough hops is served" "$(client get udp "$nat_vip" 8000)" A
}
in_both trace

# --- narrow links ---------------------------------------------------------------------------------

# learned HOST ADDRESS [FROM]: the MTU that a host has learned.
learned() { ip -n "$1" route get "$2" ${3:+from "$3"} | sed -n 's/.* mtu \([0-9]*\).*/\1/p'; }

# Clears all learned MTUs.
forget() {
	local host
	for host in client director A; do
		ip -n "$host" route flush cache
		ip -6 -n "$host" route flush cache
	done
}

# passes TITLE ADDRESS: transfers bodies both ways, in known connections and in new ones.
passes() {
	check_eq "$1: large bodies arrive" "$(client body "$2" 80 200001 3)" 'A A'
}

# A narrow link between the director and A: the hop's error quotes a packet to A's address.
between() {
	local mtu=1000
	[ "$family" = 4 ] || mtu=1300
	must ip -n hop route add "$nat" dev eth0 mtu lock "$mtu"
	passes "IPv$family, NAT, a narrow link to A" "$nat_vip"
	check_eq "IPv$family, NAT: the client learns the path MTU" "$(learned client "$nat_vip")" "$mtu"
	check_eq "IPv$family, NAT: a UDP client learns the path MTU" "$(ask errors learns "$nat_vip" 8000 1400 "$mtu")" "$mtu A"
	forget
	must ip -n hop route del "$nat"

	must ip -n director route add "$dr" dev eth0 mtu lock "$mtu"
	passes "IPv$family, DR, a narrow link to A" "$dr_vip"
	check_eq "IPv$family, DR: the client learns the path MTU" "$(learned client "$dr_vip")" "$mtu"
	check_eq "IPv$family, DR: a UDP client learns the path MTU" "$(ask errors learns "$dr_vip" 8000 1400 "$mtu")" "$mtu A"
	must ip -n director route del "$dr"
	forget

	# The error quotes the outer packet and comes from the router on the tunnel's path. The C
	# director ignores such errors for IPv6.
	[ "$family" = 4 ] || ours || return
	[ "$family" = 4 ] || mtu=1340
	must ip -n router route change "$tun" via "$dr" mtu lock "$mtu"
	passes "IPv$family, TUN, a narrow link to A" "$tun_vip"
	check_eq "IPv$family, TUN: the client learns the path MTU less the tunnel header" "$(learned client "$tun_vip")" $((mtu - header))
	check_eq "IPv$family, TUN: a UDP client learns the path MTU less the tunnel header" \
		"$(ask errors learns "$tun_vip" 8000 1400 $((mtu - header)))" "$((mtu - header)) A"
	must ip -n router route change "$tun" via "$dr"
	forget
}
in_both between
director route del 10.2.0.11
director route del fd00:0:0:2::11

# A narrow link between the client and the director: the router's errors to the virtual address must
# reach A.
before() {
	local mtu=1000 row title address from
	[ "$family" = 4 ] || mtu=1300
	must ip -n router route add "$client" dev client mtu lock "$mtu"
	for row in "NAT $nat_vip $nat" "TUN $tun_vip $tun_vip" "DR $dr_vip $dr_vip"; do
		read -r title address from <<<"$row"
		passes "IPv$family, $title, a narrow link to the client" "$address"
		check_eq "IPv$family, $title: A learns the path MTU" "$(learned A "$client" "$from")" "$mtu"
		forget
	done
	must ip -n router route del "$client"
}
in_both before

# --- forged errors --------------------------------------------------------------------------------

# The router reports an MTU of the tunnel to A.
forged() {
	local mtu=1000 own lies absurd=67
	[ "$family" = 4 ] || ours || return
	[ "$family" = 4 ] || mtu=1400 absurd=1279
	own=10.1.0.1
	[ "$family" = 4 ] || own=$(six "$own")
	check_eq "IPv$family, TUN: a flow is served" \
		"$(ask errors open "forged$family" udp "$tun_vip" 8000)" A
	for lies in port protocol end source checksum short; do
		ask errors forged "forged$family" "$own" "$tun" "$mtu" "$lies" >/dev/null
		check_eq "IPv$family: the client learns no MTU from an error with a wrong $lies" \
			"$(learned client "$tun_vip")" ''
		# The kernel's GRE tunnels learn from any error that quotes GRE.
		[ "$lies" = protocol ] ||
			check_eq "IPv$family: the director learns no MTU from an error with a wrong $lies" \
				"$(learned director "$tun")" ''
		forget
	done
	ask errors forged "forged$family" "$own" "$tun" "$absurd" >/dev/null
	check_eq "IPv$family: the director learns no MTU below what the family demands" \
		"$(learned director "$tun")" ''
	forget
	ask errors forged "forged$family" "$own" "$tun" "$mtu" >/dev/null
	check_eq "IPv$family: the director learns the MTU from an error about a known connection" \
		"$(learned director "$tun")" "$mtu"
	check_eq "IPv$family: the client learns the MTU less the tunnel header" \
		"$(learned client "$tun_vip")" $((mtu - header))
	forget
}
in_both forged

# --- redirects ------------------------------------------------------------------------------------

# A client on the front network: its packets to a virtual address leave through the device on which
# they arrived.
sysctls director net.ipv4.conf.{all,eth0}.send_redirects=1
client_up near router 10.1.0.254
must on router nft -f - <<-'END'
	table inet redirects {
		chain early {
			type filter hook prerouting priority raw
			icmp type redirect counter
			icmpv6 type nd-redirect counter
		}
	}
END
redirects() { on router nft list table inet redirects | sed -n 's/.*counter packets \([0-9]*\).*/\1/p' | xargs; }
near() {
	check_eq "IPv$family, DR: a client on the same network is served" \
		"$(ask near get tcp "$dr_vip" 80 3) $(ask near datagrams "$dr_vip" 8000 0-9)" 'A A A A=10'
}
in_both near
check_eq 'the director sends no redirects' "$(redirects)" '0 0'
# This shows that redirects would be counted.
director route add 10.9.0.0/24 via 10.1.0.12
director route add fd00:0:0:9::/64 dev eth0
must ip -n B address add fd00:0:0:9::1/128 dev eth0
must ip -n router route add 10.9.0.0/24 via 10.1.0.1
must ip -n router route add fd00:0:0:9::/64 via fd00:0:0:1::1
redirected() {
	on router ping -n -c 1 -W 1 10.9.0.1 >/dev/null
	on router ping -n -c 1 -W 1 fd00:0:0:9::1 >/dev/null
	redirects
}
check_match 'a plain router sends redirects' "$(redirected)" '[1-9] [1-9]'
finish
