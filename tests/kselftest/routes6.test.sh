#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# routes.test.sh for IPv6: the director notices changes of cached routes while connections are open:
# link addresses, routes to the real server and to the client, devices that go down or are deleted.
# At the end, the director's namespace is deleted under traffic, and nothing may hold its devices.
# timeout: 240
# check: debug, because routes.test.sh uses the routes of the stock kernel

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

# A second path between director, router and A: the router also has an address on the back network.
must ip -n router address add fd00:0:0:2::254/64 dev back

# Counts packets that reach A from the director, and answers that reach the router, by device.
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

# The methods, with an address for each.
rows=('m NAT fd00:0:0:1::100' 'i TUN fd00:0:0:1::101' 'g DR fd00:0:0:1::102')
servers_up A B C
connect "${rows[@]}"

all_go 'a flow takes its usual network'

# --- link addresses -------------------------------------------------------------------------------

must ip -n A link set eth1 address 02:00:00:00:00:01
must ip -6 -n director neigh flush dev eth1
all_go 'a flow continues after A changes its link address at the back'
must ip -n A link set eth0 address 02:00:00:00:00:02
must ip -6 -n router neigh flush dev front
must ip -6 -n director neigh flush dev eth0
all_go 'a flow continues after A changes its link address at the front'

# --- routes to the real server --------------------------------------------------------------------

director route add fd00:0:0:2::11 via fd00:0:0:1::11
goes 'NAT follows a new route to another network' NAT front
director route del fd00:0:0:2::11
goes 'NAT follows the route back' NAT back
director route add fd00:0:0:3::11 via fd00:0:0:2::11
goes 'TUN follows a new route to another gateway' TUN back
director route replace fd00:0:0:3::11 via fd00:0:0:1::11
goes 'TUN follows a route that replaces another' TUN front
director route del fd00:0:0:3::11
goes 'TUN follows the default route again' TUN front
director route add fd00:0:0:1::11 via fd00:0:0:2::11
goes 'DR follows a new route to another gateway' DR back
director route del fd00:0:0:1::11
goes 'DR follows the route back' DR front

director route add fd00:0:0:2::11 via fd00:0:0:1::11 table 77
goes 'a route in an unused table has no effect' NAT back
must ip -6 -n director rule add to fd00:0:0:2::11 lookup 77
goes 'a flow follows a new routing rule' NAT front
must ip -6 -n director rule del to fd00:0:0:2::11 lookup 77
goes 'a flow follows the removal of a routing rule' NAT back

for row in 'NAT fd00:0:0:1::100 fd00:0:0:2::11' 'TUN fd00:0:0:1::101 fd00:0:0:3::11' 'DR fd00:0:0:1::102 fd00:0:0:1::11'; do
	read -r title vip server <<<"$row"
	probe "$vip"
	director route add unreachable "$server"
	check_match "$title: a flow stops while its server is unreachable" "$(probed)" 'timeout|No-route-to-host|Network-is-unreachable|refused'
	director route del unreachable "$server"
	all_go "a flow continues once the $title server is reachable again"
done

# --- routes to the client -------------------------------------------------------------------------

by router >/dev/null
goes 'NAT requests arrive before the route to the client changes' NAT back
check_eq 'NAT answers reach the router at the front' "$(by router)" front
director route add fd00::1 via fd00:0:0:2::254
goes 'NAT requests arrive after the route to the client changed' NAT back
check_eq 'NAT answers follow a new route to the client' "$(by router)" back
probe fd00:0:0:1::100
director route replace blackhole fd00::1
check_eq 'NAT answers stop without a route to the client' "$(probed)" timeout
goes 'TUN needs no route to the client' TUN front
goes 'DR needs no route to the client' DR front
director route del blackhole fd00::1
by router >/dev/null
goes 'NAT requests arrive after the route to the client is back' NAT back
check_eq 'NAT answers follow the former route to the client again' "$(by router)" front

# --- devices --------------------------------------------------------------------------------------

# A device that goes down loses its IPv6 addresses.
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
all_go 'a flow continues after the back device was down'
probe fd00:0:0:1::101
director link set eth0 down
probed >/dev/null
front_up
all_go 'a flow continues after the front device was down'

check 'the back device can be deleted' timeout $((5 * TIME_SCALE)) ip -n director link del eth1
goes 'TUN continues without the back device' TUN front
must ip -n director link add eth1 type veth peer name director1 netns router
must ip -n router link set director1 up master back
must ip -6 -n A neigh flush dev eth1
back_up
all_go 'a flow continues with a new back device'

check 'the front device can be deleted' timeout $((5 * TIME_SCALE)) ip -n director link del eth0
must ip -n director link add eth0 type veth peer name director0 netns router
must ip -n router link set director0 up master front
must ip -6 -n router neigh flush dev front
must ip -6 -n A neigh flush dev eth0
front_up
all_go 'a flow continues with a new front device'

# --- the end --------------------------------------------------------------------------------------

director_goes "${rows[@]}"
finish
