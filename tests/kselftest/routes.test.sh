#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The director caches routes and must notice their changes while connections are open: link
# addresses, routes to the real server and back to the client, devices that go down or are deleted,
# MTUs. At the end, the director's namespace is deleted under traffic, and nothing may hold its
# devices.
# timeout: 150
# check: debug, because the director caches routes in the same way on both kernels

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
client_up bulk client 10.0.0.2
servers_start A B C

# A second path between director, router and A: the router also has an address on the back network.
must ip -n router address add 10.2.0.254/24 dev back
sysctls router net.ipv4.conf.back.rp_filter=0

# Counts packets that reach A from the director, and answers that reach the router, by device.
must on A nft -f - <<-'END'
	table ip ways {
		chain early {
			type filter hook prerouting priority raw
			ip saddr { 10.0.0.1, 10.1.0.1, 10.2.0.1 } ip protocol { tcp, udp, 4 } goto networks
		}
		chain networks {
			iifname eth0 counter comment "front"
			iifname eth1 counter comment "back"
		}
	}
END
must on router nft -f - <<-'END'
	table ip ways {
		chain early {
			type filter hook prerouting priority raw
			ip saddr 10.1.0.100-10.1.0.103 ip daddr 10.0.0.1 goto networks
		}
		chain networks {
			iifname front counter comment "front"
			iifname back counter comment "back"
		}
	}
END

# The methods, with an address for each.
rows=('m NAT 10.1.0.100' 'i TUN 10.1.0.101' 'g DR 10.1.0.102')
servers_up A B C
connect "${rows[@]}"

all_go 'a flow takes its usual network'

# --- link addresses -------------------------------------------------------------------------------

# new_address HOST DEVICE NUMBER: changes the link address.
new_address() { must ip -n "$1" link set "$2" address "02:00:00:00:00:$3"; }

# No host announces the change.
probe 10.1.0.100
new_address A eth1 01
check_eq 'A does not answer at its old link address' "$(probed)" timeout
director neigh flush dev eth1
all_go 'a flow continues after A changes its link address at the back'
new_address A eth0 02
must ip -n router neigh flush dev front
director neigh flush dev eth0
all_go 'a flow continues after A changes its link address at the front'
# A's own bridge port keeps its link address. The new one is for TUN requests and NAT answers.
new_address router front 03
for host in director A; do must ip -n $host neigh flush dev eth0; done
all_go 'a flow continues after the router changes its link address'

# --- routes to the real server --------------------------------------------------------------------

director route add 10.2.0.11 via 10.1.0.11
goes 'NAT follows a new route to another network' NAT front
director route del 10.2.0.11
goes 'NAT follows the route back' NAT back
director route add 10.3.0.11 via 10.2.0.11
goes 'TUN follows a new route to another gateway' TUN back
director route replace 10.3.0.11 via 10.1.0.11
goes 'TUN follows a route that replaces another' TUN front
director route del 10.3.0.11
goes 'TUN follows the default route again' TUN front
director route add 10.1.0.11 via 10.2.0.11
goes 'DR follows a new route to another gateway' DR back
director route del 10.1.0.11
goes 'DR follows the route back' DR front

director route add 10.2.0.11 via 10.1.0.11 table 77
goes 'a route in an unused table has no effect' NAT back
director rule add to 10.2.0.11 lookup 77
goes 'a flow follows a new routing rule' NAT front
director rule del to 10.2.0.11 lookup 77
goes 'a flow follows the removal of a routing rule' NAT back

for row in 'NAT 10.1.0.100 10.2.0.11' 'TUN 10.1.0.101 10.3.0.11' 'DR 10.1.0.102 10.1.0.11'; do
	read -r title vip server <<<"$row"
	probe "$vip"
	director route add unreachable "$server"
	check_eq "$title: a flow stops while its server is unreachable" "$(probed)" timeout
	director route del unreachable "$server"
	all_go "a flow continues once the $title server is reachable again"
done

# --- routes to the client -------------------------------------------------------------------------

by router >/dev/null
goes 'NAT requests arrive before the route to the client changes' NAT back
check_eq 'NAT answers reach the router at the front' "$(by router)" front
director route add 10.0.0.1 via 10.2.0.254
goes 'NAT requests arrive after the route to the client changed' NAT back
check_eq 'NAT answers follow a new route to the client' "$(by router)" back
probe 10.1.0.100
director route replace blackhole 10.0.0.1
check_eq 'NAT answers stop without a route to the client' "$(probed)" timeout
goes 'TUN needs no route to the client' TUN front
goes 'DR needs no route to the client' DR front
director route del blackhole 10.0.0.1
by router >/dev/null
goes 'NAT requests arrive after the route to the client is back' NAT back
check_eq 'NAT answers follow the former route to the client again' "$(by router)" front

# --- devices --------------------------------------------------------------------------------------

probe 10.1.0.100
director link set eth1 down
probed >/dev/null
director link set eth1 up
reaches 10.2.0.11
all_go 'a flow continues after the back device was down'
probe 10.1.0.101
director link set eth0 down
probed >/dev/null
{
	echo 'link set eth0 up'
	# Routes through gateways do not come back by themselves.
	echo 'route add default via 10.1.0.254'
} | batch -n director
reaches 10.1.0.254 10.1.0.11
all_go 'a flow continues after the front device was down'

check 'the back device can be deleted' timeout $((5 * TIME_SCALE)) ip -n director link del eth1
goes 'TUN continues without the back device' TUN front
must ip -n director link add eth1 type veth peer name director1 netns router
must ip -n router link set director1 up master back
{
	echo 'link set eth1 up'
	echo 'address add 10.2.0.1/24 dev eth1'
} | batch -n director
sysctls director net.ipv4.conf.eth1.rp_filter=0
must ip -n A neigh flush dev eth1
reaches 10.2.0.11
all_go 'a flow continues with a new back device'

check 'the front device can be deleted' timeout $((5 * TIME_SCALE)) ip -n director link del eth0
must ip -n director link add eth0 type veth peer name director0 netns router
must ip -n router link set director0 up master front
{
	echo 'link set eth0 up'
	for address in 10.1.0.1/24 $vips; do echo "address add $address dev eth0"; done
	echo 'route add default via 10.1.0.254'
} | batch -n director
sysctls director net.ipv4.conf.eth0.rp_filter=0
must ip -n router neigh flush dev front
must ip -n A neigh flush dev eth0
reaches 10.1.0.254 10.1.0.11
all_go 'a flow continues with a new front device'

# --- MTUs, while bodies are under way -------------------------------------------------------------

# narrows TITLE ADDRESS COMMAND…: transfers bodies both ways before, during and after the command.
narrows() {
	local title=$1 address=$2 keeper
	shift 2
	rm -f "$work/stop"
	: >"$work/bodies"
	ask bulk hold bulk tcp "$address" 80 >/dev/null
	until [ -e "$work/stop" ]; do ask bulk exchange bulk 300001; sleep 0.01; done >"$work/bodies" &
	keeper=$!
	bodies=1
	wait_for 20 more_bodies
	"$@"
	bodies=$(($(wc -l <"$work/bodies") + 3))
	check "$title: transfers continue" wait_for 20 more_bodies
	touch "$work/stop"
	wait $keeper
	check_eq "$title: every body arrives" "$(sort -u "$work/bodies")" A
	ask bulk close bulk >/dev/null
}
more_bodies() { [ "$(wc -l <"$work/bodies")" -ge "$bodies" ]; }

# learned HOST ADDRESS [FROM]: prints the path MTU that a host has learned.
learned() { ip -n "$1" route get "$2" ${3:+from "$3"} | sed -n 's/.* mtu \([0-9]*\).*/\1/p'; }

narrow_back() {
	must ip -n A link set eth1 mtu 1000
	director link set eth1 mtu 1000
}
narrows 'NAT, device MTU 1000' 10.1.0.100 narrow_back
check_eq 'NAT: the client learns the MTU of the device' "$(learned client 10.1.0.100)" 1000
narrows 'NAT, route MTU 900' 10.1.0.100 director route add 10.2.0.11 dev eth1 mtu 900
check_eq 'NAT: the client learns the MTU of the route' "$(learned client 10.1.0.100)" 900
narrows 'NAT answers, route MTU 800' 10.1.0.100 director route add 10.0.0.2 via 10.1.0.254 mtu 800
check_eq 'NAT: the real server learns the MTU of the route to the client' "$(learned A 10.0.0.2 10.2.0.11)" 800
narrows 'TUN, route MTU 1000' 10.1.0.101 director route add 10.3.0.11 via 10.1.0.254 mtu 1000
check_eq 'TUN: the client learns the MTU less the tunnel header' "$(learned client 10.1.0.101)" 980
narrows 'DR, route MTU 1000' 10.1.0.102 director route add 10.1.0.11 dev eth0 mtu 1000
check_eq 'DR: the client learns the MTU of the route' "$(learned client 10.1.0.102)" 1000
all_go 'a flow continues with narrow routes'

# --- the end --------------------------------------------------------------------------------------

director_goes "${rows[@]}"
finish
