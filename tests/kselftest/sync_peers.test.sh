#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Synchronization by unicast. Both directors run both daemons, as keepalived has them run without
# a VRRP instance, and multicast does not pass.
# timeout: 200
# check: debug, because sync.test.sh runs on both kernels

# Functions are called by name; jq has variables of its own.
# shellcheck disable=SC2016,SC2317
# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"

# shellcheck source=tests/kselftest/second_director.sh
. "$here/second_director.sh"

directors_up net.ipv4.vs.sync_ports=2
for host in director other; do
	must on "$host" nft 'add table inet wire; add chain inet wire in { type filter hook input priority 0; };
		add rule inet wire in ip daddr 224.0.0.0/4 counter drop; add rule inet wire in ip6 daddr ff02::81 counter drop'
done
both() {
	local host role
	for host in director other; do
		for role in master backup; do must daemon "$host" "$1" "$role" "${@:2}"; done
	done
}
counter() { daemon other sync status --json | jq ".counters.$1"; }
state() { daemon "$1" sync status --json --wait 10s | jq -r '"\(.state) \(.reason)"'; }
peers() { daemon "$1" sync peers list | xargs; }

check_eq 'there are no peers at first' "$(peers director)" ''
check_fails 'a multicast group is no peer' 'address of a host' daemon director sync peers add 224.0.0.81
check 'a peer is added' daemon director sync peers add 10.5.0.2
check_fails 'it is not added twice' 'exists already' daemon director sync peers add 10.5.0.2
check_fails 'a peer of the other family is refused' 'family' daemon director sync peers add fd00:0:0:5::2
check_fails 'what is no peer is not deleted' 'no such peer' daemon director sync peers del 10.5.0.3
check_eq 'peers are listed' "$(peers director), $(daemon director sync status --json | jq -c .peers)" '10.5.0.2, ["10.5.0.2"]'
must daemon other sync peers add 10.5.0.1
both --start-daemon --mcast-interface eth2 --syncid 7
check_fails 'the last peer stays while a daemon runs' 'stop the synchronization daemons' daemon director sync peers del 10.5.0.2
check 'another peer can be added meanwhile' daemon director sync peers add 10.5.0.9
check 'and deleted' daemon director sync peers del 10.5.0.9
check_eq 'both directors are ready' "$(state director), $(state other)" 'ready complete, ready complete'
must client hold a tcp 10.1.0.100 80 20
check_same 'the peer takes the connections of a director, on both ports'
check_eq 'no datagram is missing' "$(counter datagrams_missing)" 0

# unicast SOURCE OCTETS: sends a datagram to the second director.
unicast() {
	on director python3 -c 'import socket, sys
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind((sys.argv[1], 0))
sock.sendto(bytes.fromhex(sys.argv[2]), ("10.5.0.2", 8848))' "$@"
}
must ip -n director address add 10.5.0.3/24 dev eth2
udp=0007002c01010000001100240000000000009c730035003500000000000000ff0a0900010a0900010a090001
before=$(listed other)
must unicast 10.5.0.3 $udp
check_soon 'a datagram of a stranger is counted' 1 counter datagrams_of_strangers
check_eq 'and not taken' "$(listed other)" "$before"
must unicast 10.5.0.1 "${udp/00009c73/9c739c73}"
check_soon 'that of the peer is taken or refused by its contents' 1 counter entries_refused

both --stop-daemon
must daemon director sync peers del 10.5.0.2
must daemon other sync peers del 10.5.0.1
must daemon director sync peers add fd00:0:0:5::2
must daemon other sync peers add fd00:0:0:5::1
must daemon other connections --client 10.0.0.0/24 --kill
both --start-daemon --mcast-interface eth2 --syncid 7
check_eq 'both directors are ready by IPv6' "$(state director), $(state other)" 'ready complete, ready complete'
check_same 'peers may have IPv6 addresses'
head -c 32 /dev/zero | tr '\0' k >"$work/key"
for host in director other; do must daemon "$host" sync key set "$work/key"; done
must client hold b tcp 10.1.0.100 80 5
check_same 'datagrams between peers can be signed'
both --stop-daemon
for host in director other; do
	must daemon "$host" sync key delete 0
	must daemon "$host" sync peers del "$(peers "$host")"
done

for host in director other; do must on "$host" nft delete table inet wire; done
must daemon other connections --client 10.0.0.0/24 --kill
both --start-daemon --mcast-interface eth2 --syncid 7
check_same 'without peers directors use multicast'
check_fails 'the first peer is refused while a daemon runs' 'stop the synchronization daemons' daemon director sync peers add 10.5.0.2
must ip netns del other
flush
check 'the module can be unloaded' unload_all "$IPVS_MODULE"
finish
