#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Packets that wait at ingress for others: in a large connection table only. They arrive in their
# order, are seen once, and go the ways they go without the wait; devices, settings and the module
# may go while they wait.
# timeout: 300
# check: debug, because each processor has a queue of its own

# Functions are called through check.
# shellcheck disable=SC2317
# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/kselftest/fast.sh
. "$here/fast.sh"

# The number of connections from which packets wait, and the number of numbered datagrams.
many=32768
count=1000

unload_all "$IPVS_MODULE"
must module_load "$IPVS_MODULE"
modprobe sch_netem 2>/dev/null
topology_up
client_up client
servers_start A B C

# again TAG: prints the answers of a known flow, and how many packets took the fast path and waited.
again() {
	local packets waits answers
	packets=$(status packets) waits=$(status waits)
	answers=$(client again "$1")
	echo "$answers, $(($(status packets) - packets)), $(($(status waits) - ${waits:-0}))"
}
# waits TAG: prints the answers of a known flow, and "waits" if packets waited meanwhile.
waits() {
	local answers before
	before=$(status waits)
	answers=$(client again "$1")
	echo "$answers$([ "$(status waits)" = "$before" ] || echo ' waits')"
}
waiting() { on client python3 "$here/waiting.py" "$@"; }
flows() { must waiting flows 10.0.0.2 10.1.0.103 9 1000 $((many + 100)); }

servers_up A B C
known_flows
service -u 10.1.0.100:8010 rr -- A:m:1
service -u 10.1.0.103:9 rr -- A:g:1
for host in A B C; do
	must on $host nft 'table ip sink { chain early { type filter hook prerouting priority raw; udp dport 9 drop; }; }'
done
must set_to fast_path 1
check_soon 'packets of a known flow take the fast path' 'A, 2, 0' again NAT

# --- a large table --------------------------------------------------------------------------------

flows
check_soon 'with many connections, packets wait' 'A, 2, 2' again NAT
for row in "${rows[@]}"; do
	read -r method title vip both <<<"$row"
	check_eq "$title: known flows wait and take the fast path" "$(again "$title"), $(again "${title}6")" "A, $both, $both, A, $both, $both"
	check_match "$title: segments wait" "$(again "${title}tcp")" 'A, [1-9]*, [1-9]*'
	check_eq "$title: large bodies arrive" "$(client body "$vip" 80 200001 200001)" 'A A'
	check_eq "$title: new flows are served" "$(client get udp "$vip" 8000 3), $(client get tcp "$vip" 80 3)" 'A A A, A A A'
	check_eq "$title: fragments arrive" "$(client datagrams "$vip" 8000 3000)" A=1
done

# --- many at once ---------------------------------------------------------------------------------

# Frames that a queue delays leave it many at once.
for wire in director0 director1; do must tc -n router qdisc add dev $wire root netem delay 20ms limit 100000; done

# ordered NAME PORT: a flow, whose first datagrams are new to the director, arrives in order.
ordered() {
	launch "$work/order" ready on A python3 "$here/waiting.py" receive 10.2.0.11 8010 $count
	must waiting send 10.0.0.3 "$2" 10.1.0.100 8010 $count
	wait "$launched"
	check_eq "$1" "$(tail -n 1 "$work/order")" "$count of $count, 0 out of order"
}
ordered 'datagrams of a new flow, among them fragments, arrive in order' 2001
ordered 'datagrams of a known flow, among them fragments, arrive in order' 2001
check_eq 'large bodies arrive in bursts' "$(client body 10.1.0.100 80 1000001 200001)" 'A A'

# Packets that miss the table go on behind the ingress hooks.
must on director nft 'table netdev seen { chain seen { type filter hook ingress device eth0 priority 0; udp dport 8010 counter; }; }
	table ip seen { chain early { type filter hook prerouting priority dstnat; udp dport 8010 counter; }; }'
counted() { on director nft list table "$1" seen | sed -n 's/.*counter packets \([0-9]*\) .*/\1/p'; }
on director python3 - >"$work/captured" <<-'PROGRAM' &
	import socket, time
	tap = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
	tap.bind(("eth0", 3))
	tap.setsockopt(socket.SOL_SOCKET, 33, 1 << 24)  # SO_RCVBUFFORCE
	print("ready", flush=True)
	tap.settimeout(1)
	seen = 0
	while seen == 0 or time.monotonic() < end:
	    try:
	        packet, address = tap.recvfrom(4000)
	    except TimeoutError:
	        continue
	    # To this host, UDP, to port 8010.
	    if address[2] == 0 and packet[9] == 17 and packet[22:24] == b"\x1f\x4a":
	        seen += 1
	        end = time.monotonic() + 5
	        print(seen, flush=True)
PROGRAM
program=$!
wait_for 30 grep -q ready "$work/captured"
must waiting flows 10.0.0.4 10.1.0.100 8010 2000 200
captured() { tail -n 1 "$work/captured"; }
check_soon 'a program that captures sees each packet once' 200 captured
wait $program
check_eq 'a chain at ingress sees each packet once' "$(counted netdev)" 200
check_eq 'a packet without a connection goes on to the host' "$(counted ip)" 200
must waiting flows 10.0.0.4 10.1.0.100 8010 2000 200
counts() { echo "$(counted netdev) $(counted ip)"; }
check_soon 'a packet of a known connection does not' '400 200' counts
must on director nft delete table netdev seen
must on director nft delete table ip seen

# --- what goes while packets wait -----------------------------------------------------------------

storm() {
	until [ -e "$work/stop" ]; do
		on client python3 "$here/waiting.py" flows 10.0.0.2 10.1.0.103 9 1000 3000
	done
}
storm 2>/dev/null &
storm=$!
peers=10.9.0.2
for ((n = 0; n < 6; n++)); do
	must ip link add wire netns client type veth peer name wire netns director
	must ip -n client link set wire up
	must ip -n director link set wire up
	must ip -n client address add $peers/24 dev wire
	must ip -n director address add 10.9.0.1/24 dev wire
	must ip -n client route replace 10.1.0.103 via 10.9.0.1
	learned() { [ "$(status devices)" = 3 ]; }
	check "wire $n: the device is learned under traffic" wait_for 30 learned
	case $((n % 3)) in
	0) must ip -n director link del wire ;;
	1)
		must ip -n director link set wire down
		must ip -n director link del wire
		;;
	2)
		must ip netns add elsewhere
		must ip -n director link set wire netns elsewhere
		must ip netns del elsewhere
		wait_for 10 eval '! ip -n client link show wire'
		;;
	esac
done
check_soon 'devices that went are forgotten' 2 status devices
for ((n = 0; n < 6; n++)); do
	must set_to fast_path $((n % 2))
	check_eq "known flows continue with fast_path=$((n % 2))" "$(client again NAT)" A
done
check_soon 'packets wait again' 'A waits' waits NAT
must set_to conntrack 1
check_eq 'with conntrack=1 known flows continue' "$(client again NAT)" A
must set_to conntrack 0
check_soon 'packets wait again without conntrack' 'A waits' waits NAT
flush
check 'the module can be unloaded while packets wait' unload_all "$IPVS_MODULE"
must module_load "$IPVS_MODULE"

# --- the end of a large table ---------------------------------------------------------------------

service -u 10.1.0.103:9 rr -- A:g:1
service -u 10.1.0.100:8000 rr -- A:m:1
must set_to fast_path 1
check_eq 'a flow is served by the module that was loaded again' "$(client hold last udp 10.1.0.100 8000)" A
flows
check_soon 'packets wait' 'A waits' waits last
touch "$work/stop"
wait $storm
# The next datagram of each flow applies the shorter timeout.
must lvs --set 0 0 $((2 * TIME_SCALE))
flows
smaller() { [ "$(connections -u 10.1.0.103:9)" = 'A 0/0' ]; }
check 'connections expire' wait_for 60 smaller
client hold last2 udp 10.1.0.100 8000 >/dev/null
check_soon 'with few connections, packets do not wait' 'A, 2, 0' again last2

must lvs --set 0 0 300
flows
check_soon 'packets wait once more' 'A, 2, 2' again last2
check 'the namespace can be deleted while packets may wait' ip netns del director
check_soon 'its devices are gone' 'Device "director0" does not exist.' ip -n router -o link show director0
finish
