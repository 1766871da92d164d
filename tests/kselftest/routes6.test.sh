#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What routes.test.sh does for IPv4: cached routes of IPv6 must be seen to change, with connections that run all the
# while: link addresses, routes to the real server and to the client, devices that go down or go altogether. At last
# the director goes under traffic, and nothing may hold its devices.
# timeout: 240

# Functions are called through check.
# shellcheck disable=SC2317
# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/kselftest/ways.sh
. "$here/ways.sh"

unload_all "$IPVS_MODULE"
must module_load "$IPVS_MODULE"
topology_up
client_up client
servers_start A B C

# A second way between director, router and A: the router has an address on the back network, too.
must ip -n router address add fd00:0:0:2::254/64 dev back

# Counts what reaches A from the director by either device, and answers that reach the router.
must on A nft -f - <<-'END'
	table ip6 ways {
		chain early {
			type filter hook prerouting priority raw
			ip6 saddr { fd00::1, fd00:0:0:1::1, fd00:0:0:2::1 } meta l4proto { tcp, udp, 41 } goto networks
		}
		chain networks {
			iifname eth0 counter comment "front"
			iifname eth1 counter comment "back"
		}
	}
END
must on router nft -f - <<-'END'
	table ip6 ways {
		chain early {
			type filter hook prerouting priority raw
			ip6 saddr fd00:0:0:1::100-fd00:0:0:1::103 ip6 daddr fd00::1 meta l4proto { tcp, udp } goto networks
		}
		chain networks {
			iifname front counter comment "front"
			iifname back counter comment "back"
		}
	}
END

# The methods, and an address of each.
rows=('m NAT fd00:0:0:1::100' 'i TUN fd00:0:0:1::101' 'g DR fd00:0:0:1::102')
servers_up A B C
connect "${rows[@]}"

all_go 'at first'

# --- link addresses ------------------------------------------------------------------------------------------------

must ip -n A link set eth1 address 02:00:00:00:00:01
must ip -6 -n director neigh flush dev eth1
all_go 'A is found by its new address, back'
must ip -n A link set eth0 address 02:00:00:00:00:02
must ip -6 -n router neigh flush dev front
must ip -6 -n director neigh flush dev eth0
all_go 'A is found by its new address, front'

# --- routes to the real server -----------------------------------------------------------------------------------------

director route add fd00:0:0:2::11 via fd00:0:0:1::11
goes 'NAT by another gateway' NAT front
director route del fd00:0:0:2::11
goes 'NAT by the former way' NAT back
director route add fd00:0:0:3::11 via fd00:0:0:2::11
goes 'TUN by another gateway' TUN back
director route replace fd00:0:0:3::11 via fd00:0:0:1::11
goes 'TUN by a third' TUN front
director route del fd00:0:0:3::11
goes 'TUN by the former way' TUN front
director route add fd00:0:0:1::11 via fd00:0:0:2::11
goes 'DR by another gateway' DR back
director route del fd00:0:0:1::11
goes 'DR by the former way' DR front

director route add fd00:0:0:2::11 via fd00:0:0:1::11 table 77
goes 'a route in a table that no rule names' NAT back
must ip -6 -n director rule add to fd00:0:0:2::11 lookup 77
goes 'a new rule' NAT front
must ip -6 -n director rule del to fd00:0:0:2::11 lookup 77
goes 'without the rule' NAT back

for row in 'NAT fd00:0:0:1::100 fd00:0:0:2::11' 'TUN fd00:0:0:1::101 fd00:0:0:3::11' 'DR fd00:0:0:1::102 fd00:0:0:1::11'; do
	read -r title vip server <<<"$row"
	probe "$vip"
	director route add unreachable "$server"
	check_match "$title: no route" "$(probed)" 'timeout|No-route-to-host|Network-is-unreachable|refused'
	director route del unreachable "$server"
	all_go "$title: a route again"
done

# --- routes to the client ------------------------------------------------------------------------------------------

by router >/dev/null
goes 'answers by the front network' NAT back
check_eq 'reach the router there' "$(by router)" front
director route add fd00::1 via fd00:0:0:2::254
goes 'answers by another gateway' NAT back
check_eq 'reach the router there, too' "$(by router)" back
probe fd00:0:0:1::100
director route replace blackhole fd00::1
check_eq 'no route for answers' "$(probed)" timeout
goes 'TUN needs none' TUN front
goes 'nor does DR' DR front
director route del blackhole fd00::1
by router >/dev/null
goes 'answers by the former way' NAT back
check_eq 'reach the router as before' "$(by router)" front

# --- devices -------------------------------------------------------------------------------------------------------

# A device that goes down loses its addresses of IPv6.
back_up() {
	director link set eth1 up
	director address replace fd00:0:0:2::1/64 dev eth1
	reaches fd00:0:0:2::11
}
front_up() {
	{
		echo 'link set eth0 up'
		echo 'address replace fd00:0:0:1::1/64 dev eth0'
		for vip in $vips; do echo "address replace $(six "$vip")/128 dev eth0 preferred_lft 0"; done
		echo 'route replace default via fd00:0:0:1::254'
	} | batch -n director
	reaches fd00:0:0:1::254 fd00:0:0:1::11
}
probe fd00:0:0:1::100
director link set eth1 down
probed >/dev/null
back_up
all_go 'the back device has been down'
probe fd00:0:0:1::101
director link set eth0 down
probed >/dev/null
front_up
all_go 'the front device has been down'

check 'the back device can go' timeout $((5 * TIME_SCALE)) ip -n director link del eth1
goes 'TUN without it' TUN front
must ip -n director link add eth1 type veth peer name director1 netns router
must ip -n router link set director1 up master back
must ip -6 -n A neigh flush dev eth1
back_up
all_go 'there is a new back device'

check 'the front device can go' timeout $((5 * TIME_SCALE)) ip -n director link del eth0
must ip -n director link add eth0 type veth peer name director0 netns router
must ip -n router link set director0 up master front
must ip -6 -n router neigh flush dev front
must ip -6 -n A neigh flush dev eth0
front_up
all_go 'there is a new front device'

# --- the end -------------------------------------------------------------------------------------------------------

director_goes "${rows[@]}"
finish
