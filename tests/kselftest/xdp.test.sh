#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# fast_path=2: frames of known connections that leave by XDP; which ones go on to the host, and who
# sees them there; programs that come and go.
# timeout: 300

# Functions are called through check.
# shellcheck disable=SC2317
# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/kselftest/fast.sh
. "$here/fast.sh"

unload_all "$IPVS_MODULE"
must module_load "$IPVS_MODULE"
topology_up
client_up client
servers_start A B C

attach() { on director lvsadm fast-path --attach "$1"; }
detach() { on director lvsadm fast-path --detach "$1"; }

# frames: prints how many frames XDP took.
frames() {
	local number
	number=$(status frames)
	echo "${number:-0}"
}

# again TAG: prints the answers of a known flow, and how many of its frames XDP took.
again() {
	local before answers
	before=$(frames)
	answers=$(ask "${asked:-client}" again "$1")
	echo "$answers, $(($(frames) - before))"
}

# passed TAG: the same for a flow whose route has just been looked up.
passed() {
	again "$1" >/dev/null
	again "$1"
}

# taken TITLE TAG NUMBER: repeats a flow until XDP takes that many of its frames.
taken() { check_soon "$1" "A, $3" again "$2"; }

# --- a network card -------------------------------------------------------------------------------

cards() {
	modprobe bench_nic 2>/dev/null || {
		skip 'network cards' 'there is no module bench_nic'
		return
	}
	cards_up
	received '10 0' 'first datagrams of clients go by the host' front 10 10 10.8.0.2 1000 10.8.1.1 80
	received '1000 1000' 'XDP takes the next ones' front 1000 10 10.8.0.2 1000 10.8.1.1 80
	received '10 0' 'first replies go by the host' back 10 10 10.9.0.11 80 10.8.0.2 1000 reply
	received '1000 1000' 'XDP takes the next replies' back 1000 10 10.9.0.11 80 10.8.0.2 1000 reply
	received '10 0' 'DR: first datagrams go by the host' front 10 10 10.8.0.2 2000 10.8.1.1 81
	received '1000 1000' 'DR: XDP takes the next ones, which leave by the same card' front 1000 10 10.8.0.2 2000 10.8.1.1 81
	# Other kernels test most of these with veth.
	[ -e /sys/kernel/btf/vmlinux ] || {
		received '10 0' 'TUN: first datagrams go by the host' front 10 10 10.8.0.2 3000 10.8.1.1 82
		received '1000 1000' 'TUN: XDP takes the next ones' front 1000 10 10.8.0.2 3000 10.8.1.1 82
		received '10 0' 'GUE: first datagrams go by the host' front 10 10 10.8.0.2 4000 10.8.1.1 83
		received '1000 1000' 'GUE: XDP takes the next ones' front 1000 10 10.8.0.2 4000 10.8.1.1 83
		received '10 0' 'GUE with a checksum: first datagrams go by the host' front 10 10 10.8.0.2 5000 10.8.1.1 85
		received '1000 0' 'GUE with a checksum: the next ones go by the host, too' front 1000 10 10.8.0.2 5000 10.8.1.1 85
		received '10 0' 'GRE: first datagrams go by the host' front 10 10 10.8.0.2 6000 10.8.1.1 86
		received '1000 1000' 'GRE: XDP takes the next ones' front 1000 10 10.8.0.2 6000 10.8.1.1 86
		received '10 0' 'GUE, IPv6: first datagrams go by the host' front 10 10 fd00:8::2 5000 fd00:8:1::1 83
		received '1000 1000' 'GUE, IPv6: XDP takes the next ones' front 1000 10 fd00:8::2 5000 fd00:8:1::1 83
		received '10 0' 'TUN, IPv6: first datagrams go by the host' front 10 10 fd00:8::2 3000 fd00:8:1::1 82
		received '1000 1000' 'TUN, IPv6: XDP takes the next ones' front 1000 10 fd00:8::2 3000 fd00:8:1::1 82
		received '10 0' 'TUN, IPv6 in IPv4: first datagrams go by the host' front 10 10 fd00:8::2 4000 fd00:8:1::1 84
		received '1000 1000' 'TUN, IPv6 in IPv4: XDP takes the next ones' front 1000 10 fd00:8::2 4000 fd00:8:1::1 84
		received '10 0' 'IPv6: first datagrams go by the host' front 10 10 fd00:8::2 1000 fd00:8:1::1 80
		received '1000 1000' 'IPv6: XDP takes the next ones' front 1000 10 fd00:8::2 1000 fd00:8:1::1 80
		received '10 0' 'IPv6: first replies go by the host' back 10 10 fd00:9::11 80 fd00:8::2 1000 reply
		received '1000 1000' 'IPv6: XDP takes the next replies' back 1000 10 fd00:9::11 80 fd00:8::2 1000 reply
		received '100 0' 'the host forwards what is not for the director' front 100 10 10.8.0.2 1000 10.9.0.11 5000
	}
	must ip -n cards neigh replace 10.9.0.11 lladdr 02:00:00:00:00:99 nud stale dev back
	received '1 0' 'a stale neighbor has the host look' front 1 1 10.8.0.2 1000 10.8.1.1 80
	must ip -n cards neigh replace 10.9.0.11 lladdr 02:00:00:00:00:99 nud permanent dev back
	received '1000 1000' 'XDP takes what goes to a neighbor that is known' front 1000 10 10.8.0.2 1000 10.8.1.1 80
	must ip -n cards link set back down
	must ip -n cards link set back up
	must ip -n cards neigh replace 10.9.0.11 lladdr 02:00:00:00:00:99 nud permanent dev back
	# The host looks for the route again.
	must on cards python3 "$here/frames.py" front 10 10 10.8.0.2 1000 10.8.1.1 80
	received '1000 1000' 'XDP takes what goes by a device that is up again' front 1000 10 10.8.0.2 1000 10.8.1.1 80
	check 'the cards can be deleted with XDP' ip netns del cards
	cards_unload
}

# --- values, and kernels that cannot --------------------------------------------------------------

for value in 3 -1 x; do
	check_fails "fast_path=$value is refused" 'Invalid argument' set_to fast_path $value
done
check_fails 'no program is attached without fast_path=2' 'fast_path is 1; XDP needs 2' attach eth0
check_eq 'the module for XDP is not loaded without fast_path=2' "$(grep -c '^ipvs_rs_xdp ' /proc/modules)" 0
if [ ! -e /sys/kernel/btf/vmlinux ]; then
	check_fails 'fast_path=2 is refused by a kernel without type information' 'not supported' set_to fast_path 2
	check_match 'the log tells why' "$(dmesg | grep 'ipvs_rs_xdp: ' | tail -n 1)" '.*CONFIG_DEBUG_INFO_BTF_MODULES.*'
	check_eq 'the setting stays' "$(on director cat $settings/fast_path)" 1
	known_flows
	check_eq 'connections are served' "$(client again NAT)" A
	cards
	finish
fi
check 'fast_path=2 is accepted' set_to fast_path 2
check_eq 'fast_path is 2 after it was set' "$(on director cat $settings/fast_path)" 2
check_eq 'lvsadm fast-path shows that no device has the program' "$(on director lvsadm fast-path | tail -n 2 | tr -s ' ' | xargs)" \
	'XDP no device frames 0'
check_fails 'a device that does not exist is refused' 'Cannot find device|does not exist|No such device' attach none
check_fails 'a device without support is refused' 'not support' attach lo
check_fails 'a program that is not there is not detached' 'eth0 does not have the program' detach eth0

# --- frames ---------------------------------------------------------------------------------------

known_flows
check 'the program is attached to a device' attach eth0
check 'the program is attached to a second device' attach eth1
check 'attaching it again changes nothing' attach eth1
check_eq 'lvsadm fast-path --json shows the devices' "$(on director lvsadm fast-path --json | jq -c .xdp)" '["eth0","eth1"]'
check_fails 'the module for XDP stays while programs need it' 'in use' rmmod ipvs_rs_xdp

# Wires of the test leave checksums to the receiver, and take frames only with GRO.
check_eq 'frames that may lack a checksum go to the host' "$(passed NAT)" 'A, 0'
for device in director0 director1; do
	must on router ethtool -K $device tx off
done
check_eq 'frames for a device that takes none go to the host' "$(passed NAT)" 'A, 0'
for device in director0 director1; do
	must on router ethtool -K $device gro on
done
# Neighbors are known by then.
taken 'NAT: XDP takes requests and replies' NAT 2
taken 'DR: XDP takes requests' DR 1
taken 'TUN: XDP takes requests' TUN 1
taken 'NAT over IPv6: XDP takes requests and replies' NAT6 2
taken 'TUN over IPv6: XDP takes requests' TUN6 1
taken 'DR over IPv6: XDP takes requests' DR6 1
check_match 'NAT: XDP takes segments both ways' "$(passed NATtcp)" 'A, [2-4]'
for row in "${rows[@]}"; do
	read -r method title vip _ <<<"$row"
	check_eq "$title: large bodies arrive" "$(client body "$vip" 80 200001 200001)" 'A A'
	check_eq "$title: new flows are served" "$(client get udp "$vip" 8000 3)" 'A A A'
	check_eq "$title: new connections are served" "$(client get tcp "$vip" 80 3)" 'A A A'
done
check_eq 'packets take one hop' "$(
	must on A nft 'table ip hops { chain early { type filter hook prerouting priority raw; udp dport 8000 ip ttl 62 counter; }; }'
	client again NAT >/dev/null
	on A nft list table ip hops | sed -n 's/.*counter packets \([0-9]*\).*/\1/p'
	on A nft delete table ip hops
)" 1
statistics=$(statistics -u 10.1.0.100:8000)
check_eq 'XDP takes an exchange' "$(again NAT)" 'A, 2'
check_eq 'the statistics of the service count frames' "$(statistics -u 10.1.0.100:8000)" \
	"$(awk '{ print $1, $2 + 1, $3 + 1, $4 + 31, $5 + 63 }' <<<"$statistics")"
check_eq 'the director itself is reached' "$(on router ping -c 1 -W 5 10.1.0.1 | grep -c ' 0% packet loss')" 1

# Tunnels whose headers no kernel of the director has written.
must modprobe fou
must ip -n A fou add port 6080 gue
must ip -n A link add gre4 type gre local 10.3.0.11 remote 10.1.0.1
must ip -n A link set gre4 up
sysctls A net.ipv4.conf.gre4.rp_filter=0
# tunneled TAG TITLE NUMBER OPTIONS: how many frames of an exchange XDP takes through such a tunnel.
tunneled() {
	local tag=$1 title=$2 number=$3
	shift 3
	must on director lvsadm -A -u 10.1.0.103:8000 -s rr
	must on director lvsadm -a -u 10.1.0.103:8000 -r 10.3.0.11 -i "$@"
	check_eq "$title: a new flow is served" "$(client hold "$tag" udp 10.1.0.103 8000)" A
	taken "$title: a known flow is served, and XDP takes $number" "$tag" "$number"
	must on director lvsadm -D -u 10.1.0.103:8000
}
must on A nft 'table ip ports {
	set seen { type inet_service; flags dynamic; }
	chain early { type filter hook prerouting priority raw; udp dport 6080 add @seen { udp sport }; }
}'
tunneled gue GUE 1 --tun-type gue --tun-port 6080
check_eq 'GUE: all packets of a flow have one source port' \
	"$(on A nft list set ip ports seen | sed -n 's/.*elements = {\(.*\)}/\1/p' | wc -w)" 1
must on A nft delete table ip ports
tunneled sum 'GUE with a checksum' 0 --tun-type gue --tun-port 6080 --tun-csum
tunneled gre GRE 1 --tun-type gre

# --- a program of one's own -----------------------------------------------------------------------

example=/usr/share/doc/ipvs_rs/examples/xdp/forward.bpf.o
if [ -e $example ]; then
	client_up fourth client 10.0.0.4
	check_eq 'a client is served before it is blocked' "$(ask fourth get udp 10.1.0.100 8000)" A
	must detach eth0
	check 'a program of one'"'"'s own is attached' ip -n director link set dev eth0 xdpdrv obj $example sec xdp
	taken 'it hands frames to the director' NAT 2
	check_eq 'it does something else with others' "$(ask fourth get udp 10.1.0.100 8000)" timeout
	check_fails 'lvsadm does not replace it' 'XDP program already attached' attach eth0
	must ip -n director link set dev eth0 xdpdrv off
	must attach eth0
	taken 'XDP takes frames without it' NAT 2
else
	skip 'a program of one'"'"'s own' 'the example is not compiled (GUEST_EXAMPLES=1)'
fi

# --- what goes by the host ------------------------------------------------------------------------

# taking NUMBER TITLE WANTED COMMAND: checks what a command prints, and how many frames XDP takes
# meanwhile.
taking() {
	local number=$1 title=$2 wanted=$3 before answers
	shift 3
	before=$(frames)
	answers=$("$@")
	check_eq "$title" "$answers, $(($(frames) - before))" "$wanted, $number"
}
# A new flow, its second datagram, and one in fragments, which has an answer in fragments.
taking 2 'datagrams in fragments pass' 'A=3' client datagrams 10.1.0.100 8000 20 20 4000
takes_orders errors client errors.py 10.0.0.1 fd00::1
ask errors open told udp 10.1.0.100 8000 >/dev/null
taking 0 'errors of a server pass' 'from 10.1.0.100 3/3/0 me>10.1.0.100:8000' ask errors from_server told 10.2.0.11 8000 3 3 0 8
# shellcheck disable=SC2016 # for awk
# states: prints the states of the TCP connections of a client.
states() { on director awk '$1 == "TCP" && $2 == "0A000002" { print $(NF - 1) }' /proc/net/ip_vs_conn | sort | xargs; }
client_up ending client 10.0.0.2
ask ending hold closed tcp 10.1.0.100 80 >/dev/null
ask ending hold reset tcp 10.1.0.100 80 >/dev/null
check_match 'XDP takes segments' "$(asked=ending passed closed)" 'A, [2-9]'
check_eq 'a connection whose segments XDP takes is established' "$(states)" 'ESTABLISHED ESTABLISHED'
ask ending close closed >/dev/null
ask ending reset reset >/dev/null
check_soon 'segments that end a connection come to the director' 'CLOSE TIME_WAIT' states

# --- who sees frames, and who stops them ----------------------------------------------------------

client patience 0.7 >/dev/null
stop_at() { must on director nft "table $1 wall { chain wall { type filter hook $2; udp dport 8000 counter drop; }; }"; }
for hook in 'ip prerouting priority raw' 'ip prerouting priority mangle' 'netdev ingress device eth0 priority 0' \
	'netdev egress device eth1 priority 0' 'ip postrouting priority filter'; do
	stop_at "${hook%% *}" "${hook#* }"
	check_eq "a rule at $hook stops a known flow" "$(client again NAT)" timeout
	must on director nft delete table "${hook%% *}" wall
	taken "XDP takes the flow again without the rule at $hook" NAT 2
done
client patience 10 >/dev/null
check 'conntrack=1 is accepted' set_to conntrack 1
check_eq 'with conntrack=1 frames go to the host' "$(passed NAT)" 'A, 0'
check 'conntrack=0 is accepted' set_to conntrack 0
check 'fast_path=1 is accepted' set_to fast_path 1
check_eq 'with fast_path=1 frames go to the host, which the program does not harm' "$(passed NAT)" 'A, 0'
check 'fast_path=2 is accepted again' set_to fast_path 2
taken 'XDP takes the flow again' NAT 2
must ip -n director xfrm policy add dir in src 10.99.0.0/24 dst 10.98.0.0/24 proto tcp tmpl proto esp mode transport
check_eq 'with an IPsec policy frames go to the host' "$(passed NAT)" 'A, 0'
must ip -n director xfrm policy flush
taken 'without the IPsec policy XDP takes the flow again' NAT 2
must ip -n director route change 10.2.0.0/24 dev eth1 src 10.2.0.1 mtu 1000
check_eq 'what does not fit goes to the host, which tells the client' "$(client body 10.1.0.100 80 200001 200001)" 'A A'
must ip -n director route change 10.2.0.0/24 dev eth1 src 10.2.0.1

cards

# --- programs that come and go --------------------------------------------------------------------

client_up turning client 10.0.0.2
ask turning hold T tcp 10.1.0.100 80 2 >/dev/null
turn() {
	case $(($1 % 4)) in
	0) must detach eth0 ;;
	1) must set_to fast_path 1 ;;
	2) must set_to fast_path 2 ;;
	3) must attach eth0 ;;
	esac
}
under_traffic 8 turn T
check_eq 'programs and setting can change under traffic' $turns 8
check_eq 'connections continue meanwhile' "$(sort -u "$work/kept")" 'A A'
taken 'XDP takes the flow afterwards' NAT 2

# A device with a program goes while another one sends to it.
must ip -n director link set eth1 down
client patience 0.7 >/dev/null
check_eq 'a known flow gets no answer by a device that is down' "$(client again NAT)" timeout
client patience 10 >/dev/null
must ip -n director link set eth1 up
taken 'XDP takes the flow once the device is up' NAT 2
check_fails 'the director stays while programs need it' 'in use' rmmod "$IPVS_MODULE"
check 'a program is detached' detach eth1
taken 'frames of a device without program go to the host' NAT 1
flush
check 'the namespace can be deleted with a program attached' ip netns del director
check_soon 'its devices are gone' 'Device "director0" does not exist.' ip -n router -o link show director0
unloads() { rmmod ipvs_rs_xdp 2>&1 && echo gone; }
check_soon 'without programs the module for XDP can be unloaded' gone unloads
check 'the module can be unloaded' unload_all "$IPVS_MODULE"
finish
