#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# One director for each network namespace: the same virtual address in two of them, namespaces that
# are created after the module is loaded and deleted under traffic, and a table for each.
# timeout: 150
# check: debug, because the debug kernel sees what a namespace leaves behind

# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"

unload_all "$IPVS_MODULE"
must module_load "$IPVS_MODULE"
topology_up
client_up client
servers_up A B C

# A second director on the back network, 10.2.0.2, with a second client behind it, 10.0.9.1. That
# client reaches the same virtual address through this director and not through the router.
# shellcheck disable=SC2317 # called through wait_for
no_wires() { ! ip -n router link show second1 && ! ip -n other link show eth0; }
second_up() {
	ip netns del second 2>/dev/null
	# The namespace and its wires are deleted in the background.
	wait_for 20 no_wires || bail 'a namespace is not deleted'
	{
		echo "netns add second"
		echo "link add eth1 netns second type veth peer name second1 netns router"
		echo "link add eth2 netns second type veth peer name eth0 netns other"
	} | batch
	must ip -n router link set second1 up master back
	{
		echo "link set lo up"
		echo "link set eth1 up"
		echo "link set eth2 up"
		echo "address add 10.2.0.2/24 dev eth1"
		echo "address add 10.0.9.254/24 dev eth2"
		echo "address add 10.1.0.100/32 dev eth2"
	} | batch -n second
	sysctls second net.ipv4.ip_forward=1 net.ipv4.conf.{all,default,eth1,eth2}.rp_filter=0
	{
		echo "link set lo up"
		echo "link set eth0 up"
		echo "address add 10.0.9.1/24 dev eth0"
		echo "route add default via 10.0.9.254"
	} | batch -n other
}
hosts+=' second other'
must ip netns add other
second_up
for host in A B C; do must ip -n $host route add 10.0.9.0/24 via 10.2.0.2 table 100; done
client_up other other 10.0.9.1

check_eq 'a namespace made after loading has an empty table' "$(on second cat /proc/net/ip_vs | wc -l)" 3
service -t 10.1.0.100:80 rr -- A:m:1
check_eq 'a service is invisible in other namespaces' "$(DIRECTOR=second configuration)" ''
check_eq 'another namespace does not serve it' "$(ask other get tcp 10.1.0.100 80)" refused
DIRECTOR=second service -t 10.1.0.100:80 wlc -- B:m:1 C:m:1
check_eq 'the first namespace serves from its own table' "$(client get tcp 10.1.0.100 80 3)" 'A A A'
check_eq 'the second namespace serves from its own table' "$(ask other hold h tcp 10.1.0.100 80 4)" 'B C B C'
check_eq 'the first namespace counts its own connections' "$(connections -t 10.1.0.100:80 | cut -d/ -f1)" 'A 0'
check_eq 'the second namespace counts its own connections' "$(DIRECTOR=second connections -t 10.1.0.100:80)" 'B 2/0 C 2/0'
check_eq '/proc/net/ip_vs lists the servers of the first namespace' "$(on director grep -c 0A02000B:0050 /proc/net/ip_vs)" 1
check_eq '/proc/net/ip_vs lists the servers of the second namespace' "$(on second grep -c '0A02000[CD]:0050' /proc/net/ip_vs)" 2
must lvs --set 100 50 25
check_match 'each namespace has its own timeouts' "$(DIRECTOR=second lvs -L --timeout | xargs)" '.*900 120 300'
must lvs -C
check_eq 'a flush leaves the services of the other namespace' "$(DIRECTOR=second configuration | wc -l)" 3
check_eq 'a flush leaves the connections of the other namespace' "$(ask other again h)" 'B C B C'
ask other close h >/dev/null

# A namespace is deleted while it balances, with services, open connections and traffic; several
# times.
service -t 10.1.0.100:80 rr -- A:m:1
ask other patience 0.3 >/dev/null
ask other load x tcp 10.1.0.100 80 2 >/dev/null
ask other load y udp 10.1.0.100 80 2 >/dev/null
good=0
for n in 1 2 3 4; do
	second_up
	DIRECTOR=second service -t 10.1.0.100:80 rr -- A:m:1 B:m:1
	DIRECTOR=second service -u 10.1.0.100:80 wrr -- A:m:1 B:m:1
	ask other hold h tcp 10.1.0.100 80 4 >/dev/null
	# shellcheck disable=SC2317 # called through wait_for
	busy() { [ "$(DIRECTOR=second statistics -u 10.1.0.100:80 | cut -d' ' -f1)" -gt 4 ]; }
	wait_for 10 busy && good=$((good + 1))
done
must ip netns del second
check_eq 'namespaces can be deleted under traffic' $good 4
ask other stop x >/dev/null
ask other stop y >/dev/null
check_eq 'the first namespace serves while others are deleted' "$(client get tcp 10.1.0.100 80 3)" 'A A A'
flush
for scheduler in rr wrr wlc; do
	# Namespaces are deleted in the background. Afterwards, nothing holds the schedulers.
	check "no deleted namespace holds $scheduler" wait_for 10 rmmod "${IPVS_MODULE}_$scheduler"
done

check 'no deleted namespace holds the director' wait_for 10 rmmod "$IPVS_MODULE"

# Namespaces that are older than the module.
must module_load "$IPVS_MODULE"
service -t 10.1.0.100:80 rr -- C:m:1
check_eq 'a namespace that is older than the module is served' "$(client get tcp 10.1.0.100 80 2)" 'C C'
check_eq 'the initial namespace has an empty table' "$(wc -l </proc/net/ip_vs)" 3
finish
