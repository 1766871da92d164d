#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# fast_path=2 with the network card of a virtual machine (virtio_net). The director is this machine,
# with one card. Clients and real servers are on the other one.
# timeout: 300
# machines: 2
# long: make check has the same with other cards
# kernel: stock, because the debug kernel has no wire to another machine

# Functions are called through check; the other machine expands some variables.
# shellcheck disable=SC2016,SC2317
# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/kselftest/machines.sh
. "$here/machines.sh"
# shellcheck source=tests/kselftest/fast.sh
. "$here/fast.sh"
second_up

# hosts_here: on the other machine, a client and the real server A, each with a card of its own.
hosts_here() {
	topology_down
	must ip netns add client
	must ip netns add A
	must ip link add eth1 link eth0 netns client type macvlan mode bridge
	must ip link add eth1 link eth0 netns A type macvlan mode bridge
	batch -n client <<-END
		link set lo up
		link set eth1 up
		address add 10.7.0.2/24 dev eth1
		route add default via 10.7.0.1
	END
	# What leaves from a virtual address does not come by the director.
	modprobe ipip
	batch -n A <<-END
		link set lo up
		link set eth1 up
		address add 10.6.0.11/24 dev eth1
		address add 10.6.1.1/32 dev lo
		address add 10.6.1.2/32 dev lo
		link set tunl0 up
		route add default via 10.6.0.1
		route add 10.7.0.0/24 dev eth1 table 7
		rule add from 10.6.1.0/24 table 7
	END
	sysctls A net.ipv4.conf.{all,eth1,tunl0}.rp_filter=0 net.ipv4.conf.{all,eth1}.arp_ignore=1
	hosts='client A'
	servers_up A
	client_up client client 10.7.0.2
}

unload_all "$IPVS_MODULE"
must module_load "$IPVS_MODULE"
must ip netns attach director $$
must ip address add 10.6.0.1/24 dev eth0
must ip address add 10.7.0.1/24 dev eth0
for vip in 10.6.1.1 10.6.1.2 10.6.1.3; do must ip address add $vip/32 dev lo; done
sysctls director net.ipv4.ip_forward=1 net.ipv4.conf.{all,eth0}.rp_filter=0 net.ipv4.conf.{all,eth0}.send_redirects=0
must second "$(declare -f hosts_here); hosts_here"
must on director lvsadm -R <<-END
	-A -u 10.6.1.1:8000 -s rr
	-a -u 10.6.1.1:8000 -r 10.6.0.11:8000 -g
	-A -t 10.6.1.1:80 -s rr
	-a -t 10.6.1.1:80 -r 10.6.0.11:80 -g
	-A -u 10.6.1.2:8000 -s rr
	-a -u 10.6.1.2:8000 -r 10.6.0.11:8000 -i
	-A -u 10.6.1.3:8000 -s rr
	-a -u 10.6.1.3:8000 -r 10.6.0.11:8000 -m
	-A -t 10.6.1.3:80 -s rr
	-a -t 10.6.1.3:80 -r 10.6.0.11:80 -m
END

# again TAG: prints the answers of a known flow, and how many of its frames XDP took.
again() {
	local before answers
	before=$(status frames)
	answers=$(second "ask client again $1")
	echo "$answers, $(($(status frames) - ${before:-0}))"
}

check_eq 'the device is that of a virtual machine' "$(ethtool -i eth0 | sed -n 's/^driver: //p')" virtio_net
check 'fast_path=2 is accepted' set_to fast_path 2
for flow in DR/10.6.1.1 TUN/10.6.1.2 NAT/10.6.1.3; do
	check_eq "${flow%/*}: a new flow is served" "$(second "ask client hold ${flow%/*} udp ${flow#*/} 8000")" A
done
check 'the program is attached' on director lvsadm fast-path --attach eth0
check 'the other machine is reached after that' wait_for 30 ping -q -c 1 -W 1 "$second_address"
check_soon 'DR: XDP takes requests' 'A, 1' again DR
check_soon 'TUN: XDP takes requests' 'A, 1' again TUN
check_soon 'NAT: XDP takes requests and replies' 'A, 2' again NAT
for flow in DR/10.6.1.1 NAT/10.6.1.3; do
	before=$(status frames)
	check_eq "${flow%/*}: large bodies arrive" "$(second "ask client body ${flow#*/} 80 200001 1000001")" 'A A'
	check "${flow%/*}: XDP takes segments" test "$(status frames)" -gt $((before + 20))
done
check 'the program is detached' on director lvsadm fast-path --detach eth0
check_soon 'flows go on without it' 'A, 0' again NAT
check_eq 'large bodies arrive without it' "$(second 'ask client body 10.6.1.3 80 200001')" A
second_leaves
finish
