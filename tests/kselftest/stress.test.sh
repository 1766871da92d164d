#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The connection table under concurrent load: floods of new flows that race for their entries on all
# processors, lookups of known flows, expiry, growing and shrinking, services that are deleted and
# restored, and unloading. No packet may miss its connection, and older connections continue
# undisturbed. STRESS_MINUTES is the time in which services are deleted and restored; without it,
# they are deleted four times.
# timeout: 300
# clock: real, because a flood must repeat its flows before they expire

# Functions are called through check.
# shellcheck disable=SC2317
# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"

# The number of flows in a flood, and a time in seconds that is too short to send all of them. A
# slower kernel gets fewer flows and a longer time.
if [ -e /proc/lockdep ]; then flows=3000 short=4; else flows=16000 short=1; fi
# With so few connections, the table has its smallest size.
segment_flows=200
least_size=1024
flooded=10.1.0.100

unload_all "$IPVS_MODULE"
must module_load "$IPVS_MODULE"
modprobe pktgen 2>/dev/null
topology_up
client_up client client 10.0.0.3
client_up keeper client 10.0.0.2
servers_start A B C

# --- floods ---------------------------------------------------------------------------------------

# Another host on the front network. The kernel's packet generator runs in it.
hosts+=' flood'
[ ! -e /run/netns/flood ] || must ip netns del flood
must ip netns add flood
must ip -n flood link add eth0 type veth peer name flood netns router
must ip -n flood link set eth0 up
must ip -n router link set flood up master front
# The flood has no answers: the real servers drop its packets, and the router drops the director's
# errors.
must ip -n router route add blackhole 10.9.0.0/16
for host in A B C; do
	must on $host nft 'table ip sink { chain early {
		type filter hook prerouting priority raw; ip saddr { 10.9.0.0/16, 10.0.0.3 } drop; }; }'
done
# A longer queue, so that no packet is dropped before the director sees it.
sysctl -qw net.core.netdev_max_backlog=100000

# Writes to files of the generator. Reads lines of NAME TEXT.
generator() {
	# shellcheck disable=SC2016 # another shell's variables
	on flood bash -c 'while read -r name text; do echo "$text" >"/proc/net/pktgen/$name" || exit; done'
}

# flood COUNT OPTION…: sends that many datagrams (0: until it is stopped) from each processor. % in
# an option is the number of the processor. Every processor takes part, because the generator yields
# after each packet on an emulated processor.
flood() {
	local count=$1 cpu option
	shift
	# A thread of the generator releases its device within about 125 ms.
	if on flood grep -q 'eth0@' /proc/net/pktgen/kpktgend_0; then
		for ((cpu = 0; cpu < cpus; cpu++)); do echo "kpktgend_$cpu rem_device_all"; done | must generator
		wait_for 10 eval '! on flood grep -q eth0@ /proc/net/pktgen/kpktgend_*' || bail 'the generator keeps its devices'
	fi
	for ((cpu = 0; cpu < cpus; cpu++)); do
		echo "kpktgend_$cpu add_device eth0@$cpu"
		for option in "count $count" 'pkt_size 60' 'delay 0' "dst $flooded" "dst_mac $director_mac" \
			'udp_dst_min 9' 'udp_dst_max 9' 'udp_src_min 1000' "${@//%/$cpu}"; do
			echo "eth0@$cpu $option"
		done
	done | must generator
}

# Returns when everything is sent.
flood_start() {
	generator <<<'pgctrl start'
}

flood_background() {
	on flood bash -c 'echo start >/proc/net/pktgen/pgctrl' &
	wait_for 10 flooding || bail "the generator does not start"
}

flood_stop() {
	generator <<<'pgctrl stop'
	wait_for 10 eval '! flooding' || bail "the generator does not stop"
}

flooding() {
	on flood bash -c 'grep -q "^Running: [^ ]" /proc/net/pktgen/kpktgend_*'
}

# Prints the number of datagrams of the last flood.
sent() {
	on flood bash -c 'cat /proc/net/pktgen/eth0@*' | awk '$1 == "pkts-sofar:" { sum += $2 } END { print sum + 0 }'
}

# --- measurements ---------------------------------------------------------------------------------

table_size() {
	on director sed -n 's/.*(size=\([0-9]*\))$/\1/p' /proc/net/ip_vs
}

# Prints the least power of two that is at least the number.
fitting() {
	local size=$least_size
	while [ "$size" -lt "$1" ]; do size=$((size * 2)); done
	echo $size
}

# Print the connections and packets of the flood, and of the segments.
datagrams() { statistics -u "$flooded:9" | cut -d' ' -f1,2; }
segments() { statistics -t "$flooded:10" | cut -d' ' -f1,2; }

# Prints the number of the flood's connections in the table.
inactive() {
	connections -u $flooded:9 | awk '{ for (n = 2; n <= NF; n += 2) { split($n, c, "/"); sum += c[2] } print sum + 0 }'
}

# adds_up NAME: the service's connections of the flood equal the sum over its destinations.
adds_up() {
	local all a b c
	read -r all a b c <<<"$(scheduled -u $flooded:9)"
	check_eq "$1" $((a + b + c)) "$all"
}

flood_services() {
	service -u $flooded:9 rr -- A:m:1 B:i:1 C:g:1
	service -t $flooded:10 rr -- A:m:1
}

# Older connections, which are used all the time.
old=('NAT 10.1.0.101 m' 'TUN 10.1.0.102 i' 'DR 10.1.0.103 g')
old_services() {
	local row title address method
	for row in "${old[@]}"; do
		read -r title address method <<<"$row"
		service -t "$address:80" rr -- "A:$method:1" "B:$method:1" "C:$method:1"
	done
}
keep() {
	until [ -e "$work/stop" ]; do
		ask keeper again NAT
		ask keeper again TUN
		ask keeper again DR
		# The pause leaves processor time for the floods.
		sleep 0.2
	done >"$work/kept"
}
kept() { wc -l <"$work/kept"; }

# --- growing and shrinking ------------------------------------------------------------------------

servers_up A B C
director_mac=$(ip -n director -o link show eth0 | sed 's/.*link.ether \([^ ]*\).*/\1/')
cpus=$(nproc)

old_services
flood_services
for row in "${old[@]}"; do
	read -r title address _ <<<"$row"
	check_eq "$title: connections open before the flood" "$(ask keeper hold "$title" tcp "$address" 80 6)" 'A B C A B C'
done
check_eq 'the table starts at its smallest size' "$(table_size)" $least_size
keep &
keeper=$!
# TCP segments of a few more connections.
check_eq 'the client opens TCP connections of segments' "$(client segments s $flooded 10 $segment_flows)" started

# Every processor sends the same flows.
flood $flows 'src_min 10.9.0.1' 'src_max 10.9.0.1' "udp_src_max $((1000 + flows))"
must flood_start
packets=$(sent)
check_eq 'every processor sends one datagram of each flow' "$packets" $((flows * cpus))
check_soon 'each flow creates one connection and every datagram passes' "$flows $packets" datagrams
adds_up 'the connections of the destinations add up'
check_eq 'every connection is in the table' "$(inactive)" $flows
check_soon 'the table grows' "$(fitting $((flows + segment_flows + 18)))" table_size

# The next packet of each flow applies a shorter timeout.
must lvs --set 0 0 $short
flood $flows 'src_min 10.9.0.1' 'src_max 10.9.0.1' "udp_src_max $((1000 + flows))"
must flood_start
packets=$((packets + $(sent)))
check_soon 'known flows create no connections' "$flows $packets" datagrams
check_soon 'all connections expire' 'A 0/0 B 0/0 C 0/0' connections -u $flooded:9
check_soon 'the table shrinks' $least_size table_size

# --- new flows while others expire ----------------------------------------------------------------

# Every processor sends flows of its own.
flood $flows 'src_min 10.9.1.%' 'src_max 10.9.1.%' "udp_src_max $((1000 + flows))"
must flood_start
note "after the flood: $(inactive) connections, a table of $(table_size)"
packets=$((packets + $(sent)))
check_soon 'short timeouts: each flow creates one connection and every datagram passes' "$(((1 + cpus) * flows)) $packets" datagrams
adds_up 'short timeouts: the connections of the destinations add up'
check_soon 'short timeouts: all connections expire' 'A 0/0 B 0/0 C 0/0' connections -u $flooded:9
check_soon 'short timeouts: the table shrinks' $least_size table_size

packets=$(client stop s)
note "segments: $packets"
check_soon 'every segment finds its connection' "$segment_flows ${packets#sent=}" segments

# --- services deleted and restored, and unloading -------------------------------------------------

flood 0 'src_min 10.9.0.1' 'src_max 10.9.0.200' 'udp_src_max 60000' 'flag IPSRC_RND' 'flag UDPSRC_RND'
flood_background
before=$(kept)
scheduling() { [ "$(datagrams | cut -d' ' -f1)" -gt 100 ]; }
# Only the services of the flood: without any service, the host would reset the older connections.
services=$(configuration | grep -F " $flooded:")
good=0 rounds=0 end=$((SECONDS + ${STRESS_MINUTES:-0} * 60))
while [ $rounds -lt 4 ] || [ $SECONDS -lt $end ]; do
	must lvs -D -u $flooded:9
	must lvs -D -t $flooded:10
	must lvs -R <<<"$services"
	wait_for 10 scheduling && good=$((good + 1))
	rounds=$((rounds + 1))
done
note "services were deleted and restored $rounds times"
check_eq 'connections are scheduled after each deletion and restore' $good $rounds
asked_again() { [ "$(kept)" -gt $((before + 6)) ]; }
check 'older connections are still in use under the flood' wait_for 10 asked_again
touch "$work/stop"
wait $keeper
note "older connections were used $(kept) times"
check_eq 'older connections never change their server' "$(sort -u "$work/kept")" 'A B C A B C'

flush
check 'the module unloads under traffic' rmmod "${IPVS_MODULE}_rr" "$IPVS_MODULE"
check 'the flood continues without the module' flooding
flood_stop
check_eq 'the unloaded module leaves no trace' "$(grep -c "^$IPVS_MODULE" /proc/slabinfo; lsmod | grep -c "^$IPVS_MODULE")" $'0\n0'
finish
