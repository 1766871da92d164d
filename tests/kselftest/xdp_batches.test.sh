#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# fast_path=2 in a large connection table: frames wait for others at a device of the director. They
# go the ways they go without the wait, and nothing is lost; the device, settings, namespace and
# module may go while frames wait; frames of others and forged notes do no harm there.
# timeout: 400
# check: debug, because xdp.test.sh has programs on the stock kernel

# Functions are called through check.
# shellcheck disable=SC2317
# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/kselftest/fast.sh
. "$here/fast.sh"

# More than the number of connections from which frames wait.
many=33000

unload_all "$IPVS_MODULE"
must module_load "$IPVS_MODULE"
modprobe bench_nic 2>/dev/null || {
	skip 'frames that wait' 'there is no module bench_nic'
	finish
}

waiter() { on cards ip -o link show ipvs0 2>/dev/null | grep -c '[<,]UP[,>]'; }
# numbers ARGUMENTS: prints how many of the frames that come in are sent on, how many of them XDP
# takes, and how many wait. Packets also wait, where they are not taken as frames.
numbers() {
	local frames waits
	frames=$(card_status frames) waits=$(card_status waits)
	echo "$(on cards python3 "$here/frames.py" "$@" 2>&1) $(($(card_status frames) - frames)) $(($(card_status waits) - waits))"
}
# waited WANTED TITLE ARGUMENTS: checks them.
waited() {
	local wanted=$1 title=$2
	shift 2
	check_eq "$title" "$(numbers "$@")" "$wanted"
}
# Flows of a virtual service by direct routing, whose requests leave by the card that they come by.
flows() { must on cards python3 "$here/frames.py" front $many $many 10.8.0.2 1000 10.8.1.1 81 >/dev/null; }

topology_up
cards_up
flow=(10.8.0.2 1000 10.8.1.1 80)
received '10 0' 'first datagrams go by the host' front 10 10 "${flow[@]}"
waited '1000 1000 0' 'with few connections, XDP takes frames without a wait' front 1000 10 "${flow[@]}"
check_eq 'there is no device for frames that wait' "$(waiter)" 0

# --- a large table --------------------------------------------------------------------------------

flows
check_soon 'with many connections, there is a device where frames wait' 1 waiter
# routes: has the host look for the routes again, after a device has come or gone.
routes() {
	must on cards python3 "$here/frames.py" front 100 10 "${flow[@]}" >/dev/null
	must on cards python3 "$here/frames.py" front 100 10 10.8.0.2 1000 10.8.1.1 81 >/dev/null
}
routes
waited '1000 1000 1000' 'NAT: frames wait' front 1000 10 "${flow[@]}"
received '10 0' 'first replies go by the host' back 10 10 10.9.0.11 80 10.8.0.2 1000 reply
waited '1000 1000 1000' 'NAT: replies wait' back 1000 10 10.9.0.11 80 10.8.0.2 1000 reply
waited '1000 1000 1000' 'DR: frames wait, and leave by the same card' front 1000 1000 10.8.0.2 1000 10.8.1.1 81
received '10 0' 'TUN: first datagrams go by the host' front 10 10 10.8.0.2 3000 10.8.1.1 82
waited '1000 1000 1000' 'TUN: frames wait' front 1000 10 10.8.0.2 3000 10.8.1.1 82
received '10 0' 'GUE: first datagrams go by the host' front 10 10 10.8.0.2 4000 10.8.1.1 83
received '1000 1000' 'GUE: XDP takes the next ones' front 1000 10 10.8.0.2 4000 10.8.1.1 83
received '10 0' 'GUE with a checksum: first datagrams go by the host' front 10 10 10.8.0.2 5000 10.8.1.1 85
received '1000 0' 'GUE with a checksum: the next ones go by the host, too' front 1000 10 10.8.0.2 5000 10.8.1.1 85
received '10 0' 'IPv6: first datagrams go by the host' front 10 10 fd00:8::2 1000 fd00:8:1::1 80
waited '1000 1000 1000' 'IPv6: frames wait' front 1000 10 fd00:8::2 1000 fd00:8:1::1 80
received '10 0' 'IPv6: first replies go by the host' back 10 10 fd00:9::11 80 fd00:8::2 1000 reply
waited '1000 1000 1000' 'IPv6: replies wait' back 1000 10 fd00:9::11 80 fd00:8::2 1000 reply
received '10 0' 'TUN, IPv6: first datagrams go by the host' front 10 10 fd00:8::2 3000 fd00:8:1::1 82
waited '1000 1000 1000' 'TUN, IPv6: frames wait' front 1000 10 fd00:8::2 3000 fd00:8:1::1 82
received '10 0' 'TUN, IPv6 in IPv4: first datagrams go by the host' front 10 10 fd00:8::2 4000 fd00:8:1::1 84
waited '1000 1000 1000' 'TUN, IPv6 in IPv4: frames wait' front 1000 10 fd00:8::2 4000 fd00:8:1::1 84
waited '100 0 0' 'frames of bystanders do not wait' front 100 10 10.8.0.77 1000 10.9.0.11 5000
check_eq 'all flows are distinct' "$(on cards lvsadm -Ln -u 10.8.1.1:81 | awk '/10.8.0.2:81/ { print $NF }')" $many
must ip -n cards neigh replace 10.9.0.11 lladdr 02:00:00:00:00:99 nud stale dev back
received '1 0' 'a stale neighbor has the host look' front 1 1 "${flow[@]}"
must ip -n cards neigh replace 10.9.0.11 lladdr 02:00:00:00:00:99 nud permanent dev back
waited '1000 1000 1000' 'frames wait again' front 1000 10 "${flow[@]}"

# --- the device -----------------------------------------------------------------------------------

check_fails 'the device cannot be deleted' 'not supported' ip -n cards link del ipvs0
must ip netns add elsewhere
hosts+=' elsewhere'
check_fails 'the device cannot be moved' 'immutable|Invalid argument' ip -n cards link set ipvs0 netns elsewhere
check_eq 'the device has no address' "$(ip -n cards -o address show dev ipvs0)" ''
must ip -n cards link set ipvs0 down
routes
waited '1000 1000 0' 'while the device is down, frames do not wait' front 1000 10 "${flow[@]}"
must ip -n cards link set ipvs0 up
routes
waited '1000 1000 1000' 'once it is up, they do' front 1000 10 "${flow[@]}"
ip -n cards -j link show ipvs0 | jq '.[0].ifindex' >/sys/module/bench_nic/parameters/redirect
received '0 0' 'frames that others send there are dropped' front 1000 10 "${flow[@]}"
check_eq 'the device counts what it drops' "$(ip -n cards -s -j link show ipvs0 | jq '.[0].stats64.tx.dropped')" 1000
echo 0 >/sys/module/bench_nic/parameters/redirect
waited '1000 1000 1000' 'frames that wait there are not' front 1000 10 "${flow[@]}"

# --- forged notes ---------------------------------------------------------------------------------

# forged WANTED TITLE NOTE DEVICE,DEVICE QUEUE [FLOW…]: checks how many of 10 frames with forged
# notes are sent on, how many of them XDP takes, and how many the service counts.
forged() {
	local wanted=$1 title=$2 note=$3 devices=$4 queue=$5 frames counted sent
	shift 5
	[ $# -gt 0 ] || set -- "${flow[@]}"
	frames=$(card_status frames) counted=$(requests)
	sent=$(on cards python3 "$here/forged.py" forger ipvs0 "$note" "$devices" "$queue" python3 "$here/frames.py" forger 10 10 "$@" 2>&1)
	check_eq "$title" "$sent $(($(card_status frames) - frames)) $(($(requests) - counted))" "$wanted"
}
requests() { on cards lvsadm -Ln --stats --exact -u 10.8.1.1:80 | awk '/^UDP/ { print $(NF - 3) }'; }
# These cards have one address, so frames for one are addressed to all.
address=$(ip -n cards -j link show front | jq -r '.[0].address')
batch -n cards <<-END
	link add forger index 6001 address $address type bench_nic
	link add idle address $address type bench_nic
	link set forger up
END
sysctls cards net.ipv4.conf.forger.rp_filter=0
batch -n elsewhere <<-END
	link add far index 6002 address $address type dummy
	link set far up
END
routes
request=$((1 << 32))
new=(10.8.0.2 50000 10.8.1.1 80)
forged '10 10 10' 'a forged note of a reply: XDP looks for the connection itself' 0 forger,forger 0
forged '10 0 10' 'a forged note with a wrong hash: frames go by the host' $((request + 4711)) forger,forger 0
forged '10 0 10' 'a forged note that is garbage: frames go by the host' $((-2)) forger,forger 4294967295
forged '10 0 10' 'a forged note: frames of new flows go by the host' $((request + 4711)) forger,forger 0 "${new[@]}"
forged '10 10 10' 'a forged note: XDP takes frames of these flows afterwards' 0 forger,forger 0 "${new[@]}"
forged '10 10 10' 'a forged queue does no harm where XDP takes frames' 0 forger,forger 4294967295
forged '10 0 10' 'a forged queue does no harm where frames go by the host' $request forger,forger 30000
forged '10 10 10' 'a forged note may name another device: XDP takes frames' 0 front,forger 0
forged '10 0 10' 'a forged note may name another device: frames go by the host' $request front,forger 0
forged '0 0 0' 'frames are dropped if a forged note names a device to which they are not addressed' 0 back,lo 0
forged '0 0 0' 'frames are dropped if a forged note names the device where they wait' 0 ipvs0,ipvs0 0
forged '0 0 0' 'frames are dropped if a forged note names a device that is down' 0 idle,idle 0
forged '0 0 0' 'frames are dropped if a forged note names no device' 0 0,6000 0
forged '0 0 0' 'frames are dropped if a forged note names a device of another namespace' 0 6002,6002 0
forged '5 5 5' 'XDP takes frames behind those that are dropped' 0 6000,forger 0
forged '5 0 5' 'frames go by the host behind those that are dropped' $request forger,6002 0
# Frames of one flow leave their notes in the memory of the next ten flows: that of one processor.
# A program that comes or goes by netlink has the host look for the routes again.
must taskset -pc 0 $$
[ ! -e /sys/kernel/btf/vmlinux ] || must on cards lvsadm fast-path --attach forger
routes
waited '1000 1000 1000' 'frames of one flow wait' forger 1000 1 "${flow[@]}"
[ ! -e /sys/kernel/btf/vmlinux ] || must on cards lvsadm fast-path --detach forger
routes
forged '10 1 10' 'an old note leads XDP only to the connection of its own flow' old forger,forger 0
must taskset -p ffff $$

# --- what goes while frames wait ------------------------------------------------------------------

# storm: prints how many frames were sent on, each time.
storm() {
	until [ -e "$work/stop" ]; do
		on cards python3 "$here/frames.py" front 2000 200 10.8.0.2 1000 10.8.1.1 81
		# The clock of a busy guest goes on in pauses.
		sleep 0.01
	done
}
set_cards() { must on cards bash -c "echo $2 >$settings/$1"; }
storm >"$work/sent" 2>&1 &
storm=$!
stormed() { [ "$(wc -l <"$work/sent")" -gt $((lines + 1)) ]; }
for change in 'fast_path 1' 'fast_path 2' 'conntrack 1' 'conntrack 0' 'fast_path 0' 'fast_path 2' 'short_cut 0' 'short_cut 1'; do
	read -r name value <<<"$change"
	set_cards "$name" "$value"
	lines=$(wc -l <"$work/sent")
	wait_for 20 stormed
done
touch "$work/stop"
wait $storm
check_eq 'no frame is lost while settings change' "$(sort -u "$work/sent")" 2000
# A device that a setting has left unused may still be there, so its presence says nothing.
check_soon 'frames wait afterwards' '2000 2000 2000' numbers front 2000 200 10.8.0.2 1000 10.8.1.1 81
set_cards fast_path 1
check_soon 'without XDP there is no device' 0 waiter
set_cards fast_path 2
check_soon 'with XDP there is one' 1 waiter

# The next datagram of each flow applies the shorter timeout.
must on cards lvsadm --set 0 0 $((2 * TIME_SCALE))
routes
waited "$many $many $many" 'many flows: each frame finds its connection' front $many $many 10.8.0.2 1000 10.8.1.1 81
check_soon 'with few connections, the device is gone' 0 waiter
must on cards lvsadm --set 0 0 300
routes
waited '1000 1000 0' 'frames do not wait any more' front 1000 10 "${flow[@]}"

flows
check_soon 'with many connections, there is a device once more' 1 waiter
rm -f "$work/stop"
storm >/dev/null 2>&1 &
storm=$!
# The connections stay, and with them the device.
must on cards lvsadm -C
if [ -e /sys/kernel/btf/vmlinux ]; then
	must on cards lvsadm fast-path --detach front
	must on cards lvsadm fast-path --detach back
else
	echo 0 >/sys/module/bench_nic/parameters/direct
fi
check 'the module can be unloaded while frames may wait' unload_all "$IPVS_MODULE"
check_eq 'the device went with the module' "$(waiter)" 0
touch "$work/stop"
wait $storm
check 'the cards can be deleted' ip netns del cards
cards_unload
must module_load "$IPVS_MODULE"
must modprobe bench_nic
cards_up
flows
check_soon 'frames wait in another namespace' 1 waiter
check 'the namespace can be deleted while frames may wait' ip netns del cards
cards_unload
[ -e /sys/kernel/btf/vmlinux ] || {
	check 'the module can be unloaded' unload_all "$IPVS_MODULE"
	finish
}

# --- what arrives ---------------------------------------------------------------------------------

modprobe sch_netem 2>/dev/null
client_up client
servers_start A B C
servers_up A B C
known_flows
service -u 10.1.0.100:8010 rr -- A:m:1
service -u 10.1.0.103:9 rr -- A:g:1
for host in A B C; do
	must on $host nft 'table ip sink { chain early { type filter hook prerouting priority raw; udp dport 9 drop; }; }'
done
for wire in director0 director1; do must on router ethtool -K $wire tx off gro on; done
must set_to fast_path 2
for device in eth0 eth1; do must on director lvsadm fast-path --attach $device; done

number() {
	local number
	number=$(status "$1")
	echo "${number:-0}"
}
# again TAG: prints the answers of a known flow, how many of its frames XDP took, and how many
# frames and packets waited.
again() {
	local frames waits answers
	frames=$(number frames) waits=$(number waits)
	answers=$(client again "$1")
	echo "$answers, $(($(number frames) - frames)), $(($(number waits) - waits))"
}
waiting() { on client python3 "$here/waiting.py" "$@"; }

check_soon 'with few connections, XDP takes frames without a wait' 'A, 2, 0' again NAT
must waiting flows 10.0.0.2 10.1.0.103 9 1000 $many
check_soon 'with many connections, frames wait' 'A, 2, 2' again NAT
for row in "${rows[@]}"; do
	read -r method title vip both <<<"$row"
	check_soon "$title: frames wait" "A, $both, $both" again "$title"
	check_soon "$title, IPv6: frames wait" "A, $both, $both" again "${title}6"
	check_match "$title: segments wait" "$(again "${title}tcp")" 'A, [1-9]*, [1-9]*'
	check_eq "$title: large bodies arrive" "$(client body "$vip" 80 200001 200001)" 'A A'
	check_eq "$title: new flows are served" "$(client get udp "$vip" 8000 3), $(client get tcp "$vip" 80 3)" 'A A A, A A A'
	check_eq "$title: fragments arrive" "$(client datagrams "$vip" 8000 3000)" A=1
done
check_eq 'the director itself is reached' "$(on router ping -c 1 -W 5 10.1.0.1 | grep -c ' 0% packet loss')" 1

# Frames that a queue delays leave it many at once.
for wire in director0 director1; do must tc -n router qdisc add dev $wire root netem delay 20ms limit 100000; done
count=1000
ordered() {
	launch "$work/order" ready on A python3 "$here/waiting.py" receive 10.2.0.11 8010 $count
	must waiting send 10.0.0.3 2001 10.1.0.100 8010 $count small
	wait "$launched"
	check_eq "$1" "$(tail -n 1 "$work/order")" "$count of $count, 0 out of order"
}
ordered 'datagrams of a new flow arrive in order'
ordered 'datagrams of a known flow arrive in order'
check_eq 'large bodies arrive in bursts' "$(client body 10.1.0.100 80 1000001 200001)" 'A A'

client_up turning client 10.0.0.2
ask turning hold T tcp 10.1.0.100 80 2 >/dev/null
turn() {
	case $(($1 % 4)) in
	0) must on director lvsadm fast-path --detach eth0 ;;
	1) must set_to fast_path 1 ;;
	2) must set_to fast_path 2 ;;
	3) must on director lvsadm fast-path --attach eth0 ;;
	esac
}
rm -f "$work/stop"
under_traffic 8 turn T
check_eq 'programs and setting can change under traffic' $turns 8
check_eq 'connections continue meanwhile' "$(sort -u "$work/kept")" 'A A'
flush
check 'the namespace can be deleted with programs attached' ip netns del director
check_soon 'its devices are gone' 'Device "director0" does not exist.' ip -n router -o link show director0
unloads() { rmmod ipvs_rs_xdp 2>&1 && echo gone; }
check_soon 'without programs the module for XDP can be unloaded' gone unloads
check 'the module can be unloaded' unload_all "$IPVS_MODULE"
finish
