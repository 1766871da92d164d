#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What the host does with packets that leave by the ingress hook of their device (fast_path): outer
# headers of tunnels; rules, filters, queues and programs that see packets there or stop them; kinds
# of devices.
# timeout: 300
# check: debug, because hooks and devices have the same order on both kernels

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
servers_up A B C
known_flows
learned NAT 2
learned TUN 1
learned TUN6 1

# --- the outer headers of tunnels -----------------------------------------------------------------

must on client nft 'table inet classes { chain out { type filter hook output priority mangle;
	ip protocol udp ip dscp set cs3 ip ecn set ect0; ip6 nexthdr udp ip6 dscp set cs3; }; }'
# outer TAG RULE: repeats a flow; prints how many packets like that came to the server.
outer() {
	must on A nft "table inet outer { chain early { type filter hook prerouting priority raw; $2 counter; }; }"
	again "$1"
	on A nft list table inet outer | sed -n 's/.*counter packets \([0-9]*\).*/\1/p'
	on A nft delete table inet outer
}
# headers MODE: checks the outer headers with that setting.
headers() {
	local v4='ip protocol 4 ip saddr 10.1.0.1 ip daddr 10.3.0.11 ip dscp cs3 ip ecn ect0 ip ttl 61'
	check_eq "fast_path=$1: the outer header has class, hops and DF of the inner one" \
		"$(outer TUN "$v4 ip frag-off 0x4000 ip id 0" | xargs)" "A, $1 1"
	check_eq "fast_path=$1: the outer IPv6 header has class and hops of the inner one" \
		"$(outer TUN6 'ip6 nexthdr 41 ip6 saddr fd00:0:0:1::1 ip6 daddr fd00:0:0:3::11 ip6 dscp cs3 ip6 hoplimit 61' | xargs)" "A, $1 1"
	check_eq "fast_path=$1: the outer header has no DF without that of the inner one" \
		"$(outer free "$v4 ip frag-off 0" | xargs)" "A, $1 1"
	must set_to pmtu_disc 0
	check_eq "fast_path=$1: the outer header has no DF with pmtu_disc=0" \
		"$(outer TUN "$v4 ip frag-off 0" | xargs)" "A, $1 1"
	must set_to pmtu_disc 1
}
sysctls client net.ipv4.ip_no_pmtu_disc=1
client hold free udp 10.1.0.101 8000 >/dev/null
sysctls client net.ipv4.ip_no_pmtu_disc=0
learned free 1
headers 1
must on A nft 'table ip outer { set seen { typeof ip id; flags dynamic; size 64; }
	chain early { type filter hook prerouting priority raw; ip protocol 4 add @seen { ip id }; }; }'
for _ in {1..10}; do again free; done | sort | uniq -c >"$work/answers"
check_eq 'the outer headers without DF have identifications of their own' \
	"$(xargs <"$work/answers"), $(on A nft -j list set ip outer seen | jq '.nftables[] | .set.elem? // empty | length')" '10 A, 1, 10'
on A nft delete table ip outer
check 'fast_path=0 is accepted before headers are compared' set_to fast_path 0
headers 0
check 'fast_path=1 is accepted after headers were compared' set_to fast_path 1
must on client nft delete table inet classes
learned NAT 2

# --- who sees packets, and who stops them ---------------------------------------------------------

client patience 0.7 >/dev/null
# Counts and drops packets of the flows NAT at one hook.
stop_at() { must on director nft "table $1 wall { chain wall { type filter hook $2; udp dport 8000 counter drop; }; }"; }
for hook in 'ip prerouting priority -103' 'ip prerouting priority raw' 'ip prerouting priority mangle' \
	'netdev ingress device eth0 priority 0' 'netdev ingress device eth0 priority 2147483646' 'netdev egress device eth1 priority 0' 'ip postrouting priority filter'; do
	stop_at "${hook%% *}" "${hook#* }"
	check_eq "a rule at $hook stops a known flow" "$(client again NAT)" timeout
	check_match "a rule at $hook counts it" "$(on director nft list table "${hook%% *}" wall)" '.*counter packets 1 .*'
	must on director nft delete table "${hook%% *}" wall
	check_eq "the flow goes on by the fast path without the rule at $hook" "$(again NAT)" 'A, 2'
done
# The outer packet of a tunnel is one of this host.
for hook in output postrouting; do
	for ip in ip ip6; do
		tag=TUN$([ $ip = ip ] || echo 6)
		must on director nft "table $ip wall { chain wall { type filter hook $hook priority filter; meta l4proto { 4, 41 } counter drop; }; }"
		check_eq "a rule at $ip $hook stops a known flow through a tunnel" "$(again "$tag")" 'timeout, 1'
		check_match "a rule at $ip $hook counts it" "$(on director nft list table $ip wall)" '.*counter packets 1 .*'
		must on director nft delete table $ip wall
		check_eq "the flow through a tunnel goes on without the rule at $ip $hook" "$(again "$tag")" 'A, 1'
		must on director nft "table $ip seen { chain seen { type filter hook $hook priority filter; meta l4proto { 4, 41 } counter; }; }"
		check_eq "a flow through a tunnel passes a rule at $ip $hook" "$(again "$tag")" 'A, 1'
		must on director nft delete table $ip seen
	done
done
# A chain at the last priority, which was there before other flows have the device learned.
check 'fast_path=0 is accepted while rules change' set_to fast_path 0
must on director nft 'table netdev wall { chain wall { type filter hook ingress device eth0 priority 2147483647;
	ip daddr 10.1.0.100 udp dport 8000 drop; }; }'
check 'fast_path=1 is accepted while rules change' set_to fast_path 1
for _ in 1 2 3; do
	client again TUN >/dev/null
	sleep 1.2
done
check_eq 'a rule at the last priority stops a known flow' "$(client again NAT)" timeout
must on director nft delete table netdev wall
learned NAT 2
# tc: a filter on arrival, one on departure, and a queue.
modprobe -a sch_ingress cls_matchall act_gact 2>/dev/null
if tc -n director qdisc add dev eth0 clsact 2>/dev/null && must tc -n director qdisc add dev eth1 clsact &&
	tc -n director filter add dev eth0 ingress protocol ip matchall action drop 2>/dev/null; then
	check_eq 'a filter of tc at ingress stops a known flow' "$(client again NAT)" timeout
	must tc -n director filter del dev eth0 ingress
	must tc -n director filter add dev eth1 egress protocol ip matchall action drop
	check_eq 'a filter of tc at egress stops a known flow' "$(client again NAT)" timeout
	must tc -n director filter del dev eth1 egress
	check_eq 'the flow goes on by the fast path without filters of tc' "$(again NAT)" 'A, 2'
else
	skip 'tc' 'this kernel has no filters'
fi
client patience 10 >/dev/null
queued() { tc -n director -s -j qdisc show dev eth1 root | sed -n 's/.*"packets":\([0-9]*\).*/\1/p'; }
must tc -n director qdisc replace dev eth1 root pfifo
before=$(queued)
check_eq 'a flow through a queue takes the fast path' "$(again NAT)" 'A, 2'
check_match 'packets of the fast path pass the queue' "$(($(queued) - before))" '[1-9].*'
must tc -n director qdisc del dev eth1 root
# Chains that packets of known connections do not pass on the short cut, either.
for hook in 'prerouting priority filter' 'prerouting priority -101' 'input priority filter' 'forward priority filter'; do
	must on director nft "table ip wall { chain wall { type filter hook $hook; udp dport 8000 drop; udp sport 8000 drop; }; }"
	check_eq "a rule at $hook does not see packets of the fast path" "$(again NAT)" 'A, 2'
	must on director nft delete table ip wall
done
# Conntrack that others use. It has no use for these packets.
must on director nft 'table ip tracked { chain forward { type filter hook forward priority filter; ct state invalid counter; }; }'
learned NAT 2
must on director nft delete table ip tracked
check 'conntrack=1 is accepted' set_to conntrack 1
check_eq 'with conntrack=1 packets go by the host' "$(again NAT), $(status devices)" 'A, 0, 0'
check 'conntrack=0 is accepted' set_to conntrack 0
learned NAT 2
check 'short_cut=0 is accepted' set_to short_cut 0
check_eq 'with short_cut=0 packets go by the host' "$(again NAT)" 'A, 0'
check 'short_cut=1 is accepted' set_to short_cut 1
learned NAT 2
must ip -n director xfrm policy add dir in src 10.99.0.0/24 dst 10.98.0.0/24 proto tcp tmpl proto esp mode transport
check_eq 'with an IPsec policy packets go by the host' "$(again NAT)" 'A, 0'
must ip -n director xfrm policy flush
check_eq 'without the IPsec policy packets take the fast path again' "$(again NAT)" 'A, 2'
# captures PROTOCOL: a program on the director captures frames of that protocol while a flow goes
# on.
captures() {
	launch "$work/captured" ready on director python3 -c '
import socket, sys, time
tap = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(int(sys.argv[1])))
print("ready", flush=True)
tap.settimeout(60)
while tap.recv(2000)[9:10] != b"\x11":
    pass
print("captured", flush=True)
time.sleep(60)' "$1"
	again NAT
	wait_for 30 grep -q captured "$work/captured"
	tail -n 1 "$work/captured"
	kill "$launched"
	wait "$launched" 2>/dev/null
}
check_eq 'a program that captures all packets sees those of the fast path' "$(captures 3 | xargs)" 'A, 2 captured'
check_eq 'a program that captures IP has packets go by the host' "$(captures 2048 | xargs)" 'A, 0 captured'
check_eq 'without such programs packets take the fast path again' "$(again NAT)" 'A, 2'

# --- other kinds of devices -----------------------------------------------------------------------

# A second wire between client and director. over TITLE SETUP: the devices that SETUP makes of the
# director's end "wire" carry flows with the fast path, as they do without it.
over() {
	local title=$1 setup=$2 mode answers
	# A client of before still has its ports.
	peer=10.9.0.$((++peers))
	must ip link add wire netns client type veth peer name wire netns director
	must ip -n client link set wire up
	must ip -n director link set wire up
	eval "$setup"
	client_up "$title" client "$peer"
	for mode in 0 1; do
		must set_to fast_path $mode
		answers=$(ask "$title" hold "$title$mode" udp 10.1.0.103 8000)
		check_eq "$title: a flow is served with fast_path=$mode" "$answers" A
		check_match "$title: a known flow is served with fast_path=$mode" "$(asked=$title again "$title$mode")" "A, $([ $mode = 0 ] && echo 0 || echo '[0-2]')"
	done
	if [ -n "${by_host-}" ]; then
		asked=$title check_soon "$title: replies take the fast path, requests do not" 'A, 1' again "${title}1"
	else
		asked=$title check_soon "$title: the device is learned" 'A, 2' again "${title}1"
	fi
	check_eq "$title: large bodies arrive" "$(ask "$title" body 10.1.0.103 80 100001 100001)" 'A A'
	must ip -n director link del wire
	check_eq "$title: older flows continue" "$(client again NAT)" A
}
service -u 10.1.0.103:8000 rr -- A:m:1
service -t 10.1.0.103:80 rr -- A:m:1
peers=1
address_of() {
	must ip -n director link set "$1" up
	must ip -n director address add 10.9.0.1/24 dev "$1"
}
client_address() {
	must ip -n client address add "$peer/24" dev "$1"
	must ip -n client route replace 10.1.0.103 via 10.9.0.1
}
over plain 'address_of wire; client_address wire'
over VLAN 'must ip -n director link add link wire name tagged type vlan id 5; address_of tagged
	must ip -n client link add link wire name tagged type vlan id 5; must ip -n client link set tagged up; client_address tagged'
over bridge 'must ip -n director link add bridge type bridge; must ip -n director link set wire master bridge; address_of bridge; client_address wire'
must ip -n director link del bridge
if ip -n director link add bond type bond mode active-backup 2>/dev/null; then
	over bond 'must ip -n director link set wire down; must ip -n director link set wire master bond; address_of bond; client_address wire'
	must ip -n director link del bond
else
	skip 'bond' 'this kernel has no bonds'
fi

# The lower device would answer ARP requests for the address of the upper one.
over macvlan 'must ip -n director link set wire arp off
	must ip -n director link add link wire name macvlan type macvlan; address_of macvlan; client_address wire'
# Requests come by the VRF, and replies go into it.
if ip -n director link add name red type vrf table 10 2>/dev/null; then
	must ip -n director link set red up
	must ip -n director route add local 10.1.0.103 dev lo table 10
	by_host=1 over VRF 'must ip -n director link set wire master red; address_of wire
		must ip -n director route add 10.9.0.0/24 dev wire; client_address wire'
	must ip -n director link del red
else
	skip 'VRF' 'this kernel has no VRFs'
fi
# A device without link addresses, as WireGuard has.
by_host=1 over tunnel 'must ip -n director address add 10.8.0.1/24 dev wire; must ip -n client address add 10.8.0.2/24 dev wire
	must ip -n director link add tunnel type ipip local 10.8.0.1 remote 10.8.0.2; address_of tunnel
	must ip -n client link add tunnel type ipip local 10.8.0.2 remote 10.8.0.1; must ip -n client link set tunnel up; client_address tunnel'
must ip -n director link del tunnel
must ip -n client link del tunnel
# session HOST PEER: the end of a PPPoE session at the wire, the device ppp0.
session() {
	launch "$work/session.$1" ready on "$1" python3 "$here/pppoe.py" wire \
		"$(ip -n "$2" -br link show wire | awk '{ print $3 }')"
	sessions+=" $launched"
	# PPPoE adds eight octets.
	must ip -n "$1" link set ppp0 mtu 1492
}
if modprobe pppoe 2>/dev/null; then
	sessions=
	by_host=1 over PPPoE 'session director client; session client director; address_of ppp0
		must ip -n client link set ppp0 up; client_address ppp0'
	# shellcheck disable=SC2086 # a list
	kill $sessions
else
	skip 'PPPoE' 'this kernel has no PPPoE'
fi
learned NAT 2
check_soon 'devices that went are forgotten' 2 status devices
finish
