#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Routes are cached, so they must be seen to change: link addresses, routes to the real server and back to the
# client, devices that go down or go altogether, MTUs; with connections that run all the while. At last the whole
# director goes under traffic, and nothing may hold its devices.
# timeout: 150

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

# A second way between director, router and A: the router has an address on the back network, too.
must ip -n router address add 10.2.0.254/24 dev back
sysctls router net.ipv4.conf.back.rp_filter=0

# Counts what reaches A from the director by either device, and answers that reach the router.
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

# The methods, and an address of each.
rows=('m NAT 10.1.0.100' 'i TUN 10.1.0.101' 'g DR 10.1.0.102')
servers_up A B C
connect "${rows[@]}"

all_go 'at first'

# --- link addresses --------------------------------------------------------------------------------------------

# new_address HOST DEVICE NUMBER: another link address.
new_address() { must ip -n "$1" link set "$2" address "02:00:00:00:00:$3"; }

# Nobody is told.
probe 10.1.0.100
new_address A eth1 01
check_eq 'A is not found by its old address' "$(probed)" timeout
director neigh flush dev eth1
all_go 'A is found by its new address, back'
new_address A eth0 02
must ip -n router neigh flush dev front
director neigh flush dev eth0
all_go 'A is found by its new address, front'
# A's own bridge port still has its old one; this is for requests by TUN and answers by NAT.
new_address router front 03
for host in director A; do must ip -n $host neigh flush dev eth0; done
all_go 'the router is found by its new address'

# --- routes to the real server ---------------------------------------------------------------------------------

director route add 10.2.0.11 via 10.1.0.11
goes 'NAT by another gateway' NAT front
director route del 10.2.0.11
goes 'NAT by the former way' NAT back
director route add 10.3.0.11 via 10.2.0.11
goes 'TUN by another gateway' TUN back
director route replace 10.3.0.11 via 10.1.0.11
goes 'TUN by a third' TUN front
director route del 10.3.0.11
goes 'TUN by the former way' TUN front
director route add 10.1.0.11 via 10.2.0.11
goes 'DR by another gateway' DR back
director route del 10.1.0.11
goes 'DR by the former way' DR front

director route add 10.2.0.11 via 10.1.0.11 table 77
goes 'a route in a table that no rule names' NAT back
director rule add to 10.2.0.11 lookup 77
goes 'a new rule' NAT front
director rule del to 10.2.0.11 lookup 77
goes 'without the rule' NAT back

for row in 'NAT 10.1.0.100 10.2.0.11' 'TUN 10.1.0.101 10.3.0.11' 'DR 10.1.0.102 10.1.0.11'; do
	read -r title vip server <<<"$row"
	probe "$vip"
	director route add unreachable "$server"
	check_eq "$title: no route" "$(probed)" timeout
	director route del unreachable "$server"
	all_go "$title: a route again"
done

# --- routes to the client --------------------------------------------------------------------------------------

by router >/dev/null
goes 'answers by the front network' NAT back
check_eq 'reach the router there' "$(by router)" front
director route add 10.0.0.1 via 10.2.0.254
goes 'answers by another gateway' NAT back
check_eq 'reach the router there, too' "$(by router)" back
probe 10.1.0.100
director route replace blackhole 10.0.0.1
check_eq 'no route for answers' "$(probed)" timeout
goes 'TUN needs none' TUN front
goes 'nor does DR' DR front
director route del blackhole 10.0.0.1
by router >/dev/null
goes 'answers by the former way' NAT back
check_eq 'reach the router as before' "$(by router)" front

# --- devices -----------------------------------------------------------------------------------------------------

probe 10.1.0.100
director link set eth1 down
probed >/dev/null
director link set eth1 up
reaches 10.2.0.11
all_go 'the back device has been down'
probe 10.1.0.101
director link set eth0 down
probed >/dev/null
{
	echo 'link set eth0 up'
	# Routes by gateways do not come back by themselves.
	echo 'route add default via 10.1.0.254'
} | batch -n director
reaches 10.1.0.254 10.1.0.11
all_go 'the front device has been down'

check 'the back device can go' timeout $((5 * TIME_SCALE)) ip -n director link del eth1
goes 'TUN without it' TUN front
must ip -n director link add eth1 type veth peer name director1 netns router
must ip -n router link set director1 up master back
{
	echo 'link set eth1 up'
	echo 'address add 10.2.0.1/24 dev eth1'
} | batch -n director
sysctls director net.ipv4.conf.eth1.rp_filter=0
must ip -n A neigh flush dev eth1
reaches 10.2.0.11
all_go 'there is a new back device'

check 'the front device can go' timeout $((5 * TIME_SCALE)) ip -n director link del eth0
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
all_go 'there is a new front device'

# --- MTUs, while bodies are under way ----------------------------------------------------------------------------

# narrows TITLE ADDRESS COMMAND…: bodies both ways before, during and after the command.
narrows() {
	local title=$1 address=$2 keeper
	shift 2
	rm -f "$work/stop"
	: >"$work/bodies"
	ask bulk hold bulk tcp "$address" 80 >/dev/null
	until [ -e "$work/stop" ]; do ask bulk exchange bulk 300001; done >"$work/bodies" &
	keeper=$!
	bodies=1
	wait_for 20 more_bodies
	"$@"
	bodies=$(($(wc -l <"$work/bodies") + 3))
	check "$title: bodies are under way" wait_for 20 more_bodies
	touch "$work/stop"
	wait $keeper
	check_eq "$title: all arrive" "$(sort -u "$work/bodies")" A
	ask bulk close bulk >/dev/null
}
more_bodies() { [ "$(wc -l <"$work/bodies")" -ge "$bodies" ]; }

# learnt HOST ADDRESS [FROM]: the MTU that a host has learnt.
learnt() { ip -n "$1" route get "$2" ${3:+from "$3"} | sed -n 's/.* mtu \([0-9]*\).*/\1/p'; }

narrow_back() {
	must ip -n A link set eth1 mtu 1000
	director link set eth1 mtu 1000
}
narrows 'NAT, a device of 1000' 10.1.0.100 narrow_back
check_eq 'NAT: the client has learnt it' "$(learnt client 10.1.0.100)" 1000
narrows 'NAT, a route of 900' 10.1.0.100 director route add 10.2.0.11 dev eth1 mtu 900
check_eq 'NAT: the client has learnt the route'"'"'s' "$(learnt client 10.1.0.100)" 900
narrows 'NAT answers, a route of 800' 10.1.0.100 director route add 10.0.0.2 via 10.1.0.254 mtu 800
check_eq 'NAT: the real server has learnt it' "$(learnt A 10.0.0.2 10.2.0.11)" 800
narrows 'TUN, a route of 1000' 10.1.0.101 director route add 10.3.0.11 via 10.1.0.254 mtu 1000
check_eq 'TUN: the client has learnt what fits' "$(learnt client 10.1.0.101)" 980
narrows 'DR, a route of 1000' 10.1.0.102 director route add 10.1.0.11 dev eth0 mtu 1000
check_eq 'DR: the client has learnt it' "$(learnt client 10.1.0.102)" 1000
all_go 'narrow'

# --- the end -----------------------------------------------------------------------------------------------------

director_goes "${rows[@]}"
finish
