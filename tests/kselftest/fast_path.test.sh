#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The setting fast_path: which packets leave by the ingress hook of their device; the host's
# counters, with it and without it; devices that are learned, come and go.
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
servers_up A B C

# --- values ---------------------------------------------------------------------------------------

for value in x 4294967297; do
	check_fails "fast_path=$value is refused" 'Invalid argument' set_to fast_path $value
done
check_eq 'fast_path is 1 by default' "$(on director cat $settings/fast_path)" 1
check 'fast_path=0 is accepted' set_to fast_path 0
check_eq 'fast_path is 0 after it was set' "$(on director cat $settings/fast_path)" 0

check_eq 'lvsadm fast-path shows that it is off' "$(on director lvsadm fast-path | head -n 1)" \
	'fast path  off (net.ipv4.vs.fast_path=0)'

known_flows

# --- the host's counters --------------------------------------------------------------------------

# shellcheck disable=SC2016 # for awk
# ip_counters: prints what the director's IP has received, forwarded and sent.
ip_counters() {
	on director awk '/^Ip:/ { n++; for (i = 2; i <= NF; i++) if (n == 1) name[i] = $i; else print name[i], $i }
		/^IpExt:/ { m++; for (i = 2; i <= NF; i++) if (m == 1) ext[i] = $i; else print ext[i], $i }' /proc/net/snmp /proc/net/netstat |
		grep -E '^(In|Out|Forw|Reasm|Frag)'
}
# counted TAG: prints by how much the counters grow in an exchange.
counted() {
	ip_counters >"$work/before"
	client again "$1" >/dev/null
	ip_counters >"$work/after"
	paste -d' ' "$work/before" "$work/after" | awk '$4 != $2 { print $1, $4 - $2 }' | xargs
}
declare -A slow
for row in "${rows[@]}"; do
	read -r method title vip _ <<<"$row"
	client again "$title" >/dev/null
	slow[$title]=$(counted "$title")
done

# --- learning -------------------------------------------------------------------------------------

check_eq 'no device is learned without the fast path' "$(status devices) $(status packets)" '0 0'
check 'fast_path=1 is accepted' set_to fast_path 1
for row in "${rows[@]}"; do
	read -r method title vip both <<<"$row"
	learned "$title" "$both"
	learned "${title}6" "$both"
done
check_eq 'the devices to the clients and to the servers are learned' "$(status devices)" 2
check_eq 'lvsadm fast-path --json shows devices and packets' "$(on director lvsadm fast-path --json | jq -c 'del(.packets), .packets > 5')" \
	"$(printf '%s\n' '{"setting":1,"rests":null,"devices":2,"xdp":[],"frames":0}' true)"
# A segment of a known connection, and its acknowledgment.
for row in "${rows[@]}"; do
	read -r method title vip both <<<"$row"
	check_match "$title: segments of a known connection take the fast path" "$(again "${title}tcp")" 'A, [1-9]'
	check_eq "$title: large bodies arrive" "$(client body "$vip" 80 200001 200001)" 'A A'
	check_eq "$title: new flows are served" "$(client get udp "$vip" 8000 3)" 'A A A'
done
for row in "${rows[@]}"; do
	read -r method title vip _ <<<"$row"
	check_eq "$title: the host's counters grow as without the fast path" "$(counted "$title")" "${slow[$title]}"
done
check_match 'the host counts received packets' "${slow[NAT]}" '.*InReceives 2 .*'
check_eq 'packets take one hop' "$(
	must on A nft 'table ip hops { chain early { type filter hook prerouting priority raw; udp dport 8000 ip ttl 62 counter; }; }'
	client again NAT >/dev/null
	on A nft list table ip hops | sed -n 's/.*counter packets \([0-9]*\).*/\1/p'
	on A nft delete table ip hops
)" 1
statistics=$(statistics -u 10.1.0.100:8000)
client again NAT >/dev/null
check_eq 'the statistics of the service count packets of the fast path' "$(statistics -u 10.1.0.100:8000)" \
	"$(awk '{ print $1, $2 + 1, $3 + 1, $4 + 31, $5 + 63 }' <<<"$statistics")"

# --- devices that come and go ---------------------------------------------------------------------

learned NAT 2
must ip -n director link set eth1 down
check_eq 'a device that is down stays learned' "$(status devices)" 2
must ip -n director link set eth1 up
check_soon 'flows go on once the device is up' 'A, 2' again NAT
must ip netns add elsewhere
hosts+=' elsewhere'
must ip -n director link set eth1 netns elsewhere
check_eq 'a device that moves to another namespace is forgotten' "$(status devices)" 1
must ip -n elsewhere link set eth1 netns director
must ip -n director link set eth1 up
must ip -n director address add 10.2.0.1/24 dev eth1
check_soon 'flows go on when it is back' 'A, 2' again NAT
check_eq 'it is learned again' "$(status devices)" 2
check 'fast_path=0 is accepted under traffic' set_to fast_path 0
check_eq 'without the fast path no device has a hook' "$(status devices), $(again NAT)" '0, A, 0'

# Setting, devices and rules change while connections transfer data.
client_up turning client 10.0.0.2
ask turning hold T tcp 10.1.0.100 80 2 >/dev/null
turn() {
	case $(($1 % 4)) in
	0) must set_to fast_path 1 ;;
	1) must on director nft 'table ip seen { chain early { type filter hook prerouting priority raw; counter; }; }' ;;
	2) must on director nft delete table ip seen ;;
	3) must set_to fast_path 0 ;;
	esac
	sleep 0.6
}
under_traffic 12 turn T
check_eq 'setting and rules can change under traffic' $turns 12
check_eq 'connections continue meanwhile' "$(sort -u "$work/kept")" 'A A'

# Learned devices end with their namespace, and with the module.
must set_to fast_path 1
learned NAT 2
check_eq 'devices are learned' "$(status devices)" 2
flush
check 'the module can be unloaded with devices learned' unload_all "$IPVS_MODULE"
must module_load "$IPVS_MODULE"
service -u 10.1.0.100:8000 rr -- A:m:1
must set_to fast_path 1
client hold last udp 10.1.0.100 8000 >/dev/null
learned last 2
check 'the namespace can be deleted with devices learned' ip netns del director
check_soon 'its devices are gone' 'Device "director0" does not exist.' ip -n router -o link show director0
finish
