# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# The hosts of the tests and the wires between them: namespaces, addresses and routes. Nothing here
# knows about virtual services. lib.sh reads this file.
#
# client 10.0.0.1-4 ─ 10.0.0.254 router 10.1.0.254 ──┬── front network 10.1.0.0/24 ──┬─────┬─────┐
#                                                    │                              A     B     C
#                                            10.1.0.1│eth0                      eth0│.11  │.12  │.13
#                                                 director                          A     B     C
#                                            10.2.0.1│eth1                      eth1│.11  │.12  │.13
#                                                    └── back network 10.2.0.0/24 ──┴─────┴─────┘
#
# Virtual addresses: the director has 10.1.0.100-103. The router sends 10.4.0.0/24 to the director,
# which accepts packets to it that carry a firewall mark. The real servers have all virtual
# addresses, too, but do not answer ARP requests for them.
# NAT:     real servers are 10.2.0.1x; packets from these addresses leave through the director.
# DR:      real servers are 10.1.0.1x, in the director's network; answers go through the router.
# Tunnels: real servers are 10.3.0.1x, behind the router; answers go through the router.
#
# Each IPv4 address 10.N.0.X has a counterpart fd00:0:0:N::X: see `six`.

vips='10.1.0.100 10.1.0.101 10.1.0.102 10.1.0.103'
marked_vip=10.4.0.1
hosts='client router director A B C'

# six ADDRESS: prints the IPv6 address or network that goes with an IPv4 one: fd00:0:0:1::100 for
# 10.1.0.100.
six() {
	local network host
	IFS=. read -r _ network _ host <<<"$1"
	host=${host/\/24//64}
	if [ "$network" = 0 ]; then echo "fd00::$host"; else echo "fd00:0:0:$network::$host"; fi
}

# Two programs that enter a host. In our guests, they are compiled (on.c).
#
#   on HOST COMMAND…   runs the command in the host's namespace. `ip netns exec` would also mount
#                      file systems.
#   lvs ARGUMENT…      runs the administrator's command, $LVSADM, on the director, $DIRECTOR
commands=/usr/lib/ipvs_rs/kselftest
if [ ! -x $commands/on ]; then
	commands=/run/ipvs_rs-kselftest
	mkdir -p $commands
	# shellcheck disable=SC2016 # expanded when they run
	printf '#!/bin/sh\nhost=$1\nshift\nexec nsenter --net="/run/netns/$host" "$@"\n' >$commands/on
	# shellcheck disable=SC2016 # likewise
	printf '#!/bin/sh\nexec on "${DIRECTOR:-director}" "${LVSADM:-lvsadm}" "$@"\n' >$commands/lvs
	chmod 755 $commands/on $commands/lvs
fi
PATH=$commands:$PATH
export DIRECTOR LVSADM

# sysctls NAMESPACE NAME=VALUE…
sysctls() {
	local namespace=$1
	shift
	must on "$namespace" sysctl -qw "$@"
}

# With lastpipe, a failing `batch` at the end of a pipe can end the script.
shopt -s lastpipe

# batch [-n NAMESPACE] <COMMANDS: runs many ip commands in one process.
batch() {
	local out
	out=$(ip "$@" -batch - 2>&1) || bail "ip $*: $out"
}

# Registering the first netfilter hook of a kind, or removing the last one, patches the running
# kernel's code. An emulated processor can run into a half-patched instruction (Oops: int3). One
# hook of each kind stays registered in a namespace without traffic, so no patching happens under
# traffic.
pin_hooks() {
	local hook rules=''
	! nft list table inet pinned >/dev/null 2>&1 || return 0
	for hook in prerouting input forward output postrouting; do
		rules+="add chain inet pinned $hook { type filter hook $hook priority 0; };"
	done
	must nft "add table inet pinned; $rules
		add table netdev pinned; add chain netdev pinned ingress { type filter hook ingress device lo priority 0; }"
}

# Every wire is a veth pair with one end in the router's namespace. The switches are there, too.
topology_up() {
	local host vip n=10
	topology_down
	modprobe -a bridge veth ipip sit ip6_tunnel 2>/dev/null
	pin_hooks
	# New namespaces inherit these settings: IPv6 addresses are usable at once, and only the
	# addresses below exist.
	must sysctl -qw net.core.devconf_inherit_init_net=1 net.ipv6.conf.default.{accept_dad=0,accept_ra=0}
	{
		for host in $hosts; do echo "netns add $host"; done
	} | batch
	{
		echo "link add eth0 netns client type veth peer name client netns router"
		echo "link add eth0 netns director type veth peer name director0 netns router"
		echo "link add eth1 netns director type veth peer name director1 netns router"
		for host in A B C; do
			echo "link add eth0 netns $host type veth peer name ${host}0 netns router"
			echo "link add eth1 netns $host type veth peer name ${host}1 netns router"
		done
	} | batch
	{
		# A bridge without a fixed link address changes it when ports are added, but
		# neighbors remember the old one.
		echo "link add front address 02:00:00:00:01:fe type bridge"
		echo "link add back address 02:00:00:00:02:fe type bridge"
		for host in director A B C; do
			echo "link set ${host}0 up master front"
			echo "link set ${host}1 up master back"
		done
		echo "link set front up"
		echo "link set back up"
		echo "link set client up"
		echo "address add 10.0.0.254/24 dev client"
		echo "address add 10.1.0.254/24 dev front"
		echo "route add 10.4.0.0/24 via 10.1.0.1"
		for n in 11 12 13; do echo "route add 10.3.0.$n via 10.1.0.$n"; done
		echo "address add fd00::254/64 dev client"
		echo "address add fd00:0:0:1::254/64 dev front"
		echo "route add fd00:0:0:4::/64 via fd00:0:0:1::1"
		for n in 11 12 13; do echo "route add fd00:0:0:3::$n via fd00:0:0:1::$n"; done
	} | batch -n router
	sysctls router net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.conf.{all,default,client,front}.rp_filter=0 \
		net.ipv4.conf.{all,front}.send_redirects=0
	{
		echo "link set lo up"
		echo "link set eth0 up"
		for n in 1 2 3 4; do
			echo "address add 10.0.0.$n/24 dev eth0"
			echo "address add fd00::$n/64 dev eth0"
		done
		echo "route add default via 10.0.0.254"
		echo "route add default via fd00::254"
	} | batch -n client
	director_up director
	n=10
	for host in A B C; do
		n=$((n + 1))
		{
			echo "link set lo up"
			echo "link set eth0 up"
			echo "link set eth1 up"
			echo "address add 10.1.0.$n/24 dev eth0"
			echo "address add 10.2.0.$n/24 dev eth1"
			echo "address add 10.3.0.$n/32 dev lo"
			echo "address add fd00:0:0:1::$n/64 dev eth0"
			echo "address add fd00:0:0:2::$n/64 dev eth1"
			echo "address add fd00:0:0:3::$n/128 dev lo"
			for vip in $vips $marked_vip; do
				echo "address add $vip/32 dev lo"
				# The host does not use this address as a source for connections of
				# its own.
				echo "address add $(six "$vip")/128 dev lo preferred_lft 0"
			done
			echo "link set tunl0 up"
			echo "link set ip6tnl0 up type ip6tnl mode any"
			# Some kernels lack this device.
			[ ! -d /sys/class/net/sit0 ] || echo "link set sit0 up"
			# A tunneled packet must fit the link: leave 20 or 40 octets for the outer
			# header.
			echo "route add default via 10.1.0.254 advmss 1440"
			echo "route add default via 10.2.0.1 table 100"
			echo "route add default via fd00:0:0:1::254 advmss 1400"
			echo "route add default via fd00:0:0:2::1 table 100"
			echo "rule add from 10.2.0.$n lookup 100"
		} | batch -n $host
		must ip -6 -n $host rule add from fd00:0:0:2::$n lookup 100
		sysctls $host net.ipv4.conf.{all,default,eth0,eth1,tunl0}.rp_filter=0 \
			net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2
	done
}

# director_up NAMESPACE: configures the director. Its wires exist already.
director_up() {
	local vip
	{
		echo "link set lo up"
		echo "link set eth0 up"
		echo "link set eth1 up"
		echo "address add 10.1.0.1/24 dev eth0"
		echo "address add fd00:0:0:1::1/64 dev eth0"
		for vip in $vips; do
			echo "address add $vip/32 dev eth0"
			echo "address add $(six "$vip")/128 dev eth0 preferred_lft 0"
		done
		echo "address add 10.2.0.1/24 dev eth1"
		echo "address add fd00:0:0:2::1/64 dev eth1"
		echo "route add default via 10.1.0.254"
		echo "route add default via fd00:0:0:1::254"
		echo "route add local 10.4.0.0/24 dev lo table 100"
		echo "route add local fd00:0:0:4::/64 dev lo table 100"
		echo "rule add fwmark 1 lookup 100"
	} | batch -n "$1"
	must ip -6 -n "$1" rule add fwmark 1 lookup 100
	# A closed connection of a local server whose client is gone would hold the namespace, and
	# with it the modules, for minutes.
	sysctls "$1" net.ipv4.tcp_orphan_retries=1 net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.conf.{all,default,eth0,eth1}.rp_filter=0 \
		net.ipv4.conf.{all,eth0,eth1}.send_redirects=0
}

topology_down() {
	local host
	for host in $hosts; do
		[ ! -e "/run/netns/$host" ] || ip netns del "$host"
	done
}

# offloads on|off: checksum, segmentation and receive offloads of every wire.
offloads() {
	local host
	for host in client director A B C; do
		must on $host ethtool -K eth0 tx "$1" tso "$1" gso "$1" gro "$1"
	done
	for host in director A B C; do
		must on $host ethtool -K eth1 tx "$1" tso "$1" gso "$1" gro "$1"
	done
}
