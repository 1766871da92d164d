#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# One client port with very many connections. The director serves all of them and counts each once.
# No chain of the connection table holds more than a few of them. `scripts/bench scale` measures
# their cost.
# timeout: 240
# check: debug, because the work of a lookup does not depend on the kernel

# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"

# The number of connections of the port, and how many of one client port share a chain
# (knet::table::CROWD).
if [ "${KERNEL_FLAVOUR-stock}" = stock ]; then crowd=5000; else crowd=1500; fi
chain=8
first=20000
port=5000

must module_load "$IPVS_MODULE"
topology_up
for host in A B C; do
	# One server answers on all ports, and its answers come from the port that was asked.
	must on $host nft 'table ip every { chain early { type nat hook prerouting priority dstnat;
		udp dport 20000-65535 redirect to :9999; }; }'
	on $host python3 "$here/crowd.py" server 9999 &
	wait_for 10 on $host sh -c 'ss -Hlun sport = 9999 | grep -q .' || bail "no server on $host"
done
must on director nft 'table ip marks { chain early { type filter hook prerouting priority mangle;
	ip daddr 10.1.0.100-10.1.0.103 udp dport 20000-65535 meta mark set ip daddr map {
		10.1.0.100 : 100, 10.1.0.101 : 101, 10.1.0.102 : 102, 10.1.0.103 : 103 }; }; }'

# ask_ports ADDRESS [any]: sends to all ports of an address from one client port, and prints how
# many answered.
ask_ports() {
	on client python3 "$here/crowd.py" client 10.0.0.1 $port "$1" $first $crowd ${2:+"$2"}
}

# status NAME: prints a number in /proc/net/ip_vs_status.
status() {
	on director sed -n "s/^$1:\t//p" /proc/net/ip_vs_status
}

conns() { statistics -f "$1" | cut -d' ' -f1; }
listed() { on director grep -c "^UDP.* $(printf %04X $port) " /proc/net/ip_vs_conn; }

service -f 100 rr -- A:m:1 B:m:1 C:m:1
service -f 101 rr -- A:m:1:30000
service -f 102 rr -- A:g:1 B:g:1
must lvs --set 900 120 300

check_eq 'NAT: every port answers from its virtual port' "$(ask_ports 10.1.0.100)" $crowd
check_eq 'NAT: every port is one connection' "$(conns 100)" $crowd
check_eq 'NAT: every connection is listed once' "$(listed)" $crowd
[ "$IPVS_MODULE" = ip_vs ] || check_eq 'NAT: a chain holds only a few connections of one client port' "$(status 'Conns apart')" $((crowd - chain))
check_eq 'NAT: every port answers again' "$(ask_ports 10.1.0.100)" $crowd
check_eq 'NAT: a second datagram opens no connection' "$(conns 100)" $crowd

# All go to one port of one server. Its answers cannot be told apart, so any virtual port may be
# their source.
check_eq 'one server port: the client gets an answer to every datagram' "$(ask_ports 10.1.0.101 any)" $crowd
check_eq 'one server port: every virtual port is one connection' "$(conns 101)" $crowd

# With DR, answers bypass the director.
check_eq 'DR: every port answers' "$(ask_ports 10.1.0.102)" $crowd
check_eq 'DR: every port is one connection' "$(conns 102)" $crowd
check_eq 'every connection of all services is listed once' "$(listed)" $((3 * crowd))

# One more datagram for each connection applies a short timeout.
short=$((2 * TIME_SCALE))
must lvs --set 900 120 $short
note "again: $(ask_ports 10.1.0.100) $(ask_ports 10.1.0.101 any) $(ask_ports 10.1.0.102)"
check_soon 'all connections expire' 0 listed
check_soon 'no connection is counted after the expiry' 0 status Conns
[ "$IPVS_MODULE" = ip_vs ] || check_eq 'no connection has a chain of its own after the expiry' "$(status 'Conns apart')" 0
must lvs --set 900 120 300
check_eq 'the client port can open all connections again' "$(ask_ports 10.1.0.100)" $crowd

# The service is deleted while its connections exist.
flush
unload_all "$IPVS_MODULE"
check_fails 'the module can be unloaded with all connections open' '' loaded "$IPVS_MODULE"
finish
