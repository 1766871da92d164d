#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# NAT with direct replies, and lvsadm realserver: what it prints, does and checks on a real server
# for each forwarding method. Server A starts without virtual addresses and tunnels.
# timeout: 600
# check: debug, because its sysctls and rules work alike on both kernels

# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"

must module_load "$IPVS_MODULE"
topology_up
modprobe -a fou ip_gre 2>/dev/null
client_up client
servers_up A B C
vip=10.1.0.100 vip6=fd00:0:0:1::100

# A host as it comes from the distributor.
bare() {
	local address
	for address in $vips $marked_vip; do
		must ip -n A address del "$address/32" dev lo
		must ip -n A address del "$(six "$address")/128" dev lo
	done
	must ip -n A link set tunl0 down
	must ip -n A link set ip6tnl0 down
	[ ! -d /sys/class/net/sit0 ] || must ip -n A link set sit0 down
	sysctls A net.ipv4.conf.all.arp_ignore=0 net.ipv4.conf.all.arp_announce=0 net.ipv4.conf.{all,tunl0}.rp_filter=1
}
bare
# realserver ARGUMENT…: runs the command on A.
realserver() {
	on A "$LVSADM" realserver "$@"
}
# A's own address for direct replies: an alias, since health checks ask the other one.
must ip -n A address add 10.1.0.21/24 dev eth0
must ip -n A address add fd00:0:0:1::21/64 dev eth0 nodad

# --- direct replies -------------------------------------------------------------------------------

for family in 4 6; do
	at=$vip:80 address=$vip alias=10.1.0.21
	[ $family = 4 ] || at="[$vip6]:80" address=$vip6 alias=fd00:0:0:1::21
	to=$alias:8080
	[ $family = 4 ] || to="[$alias]:8080"
	check_fails "$address: a real server without rules fails the check" 'FAIL +rules' \
		realserver direct-reply "$at" --server "$to" --check
	check "$address: --apply makes the rules" realserver direct-reply "$at" --server "$to" --apply
	check "$address: the check passes" realserver direct-reply "$at" --server "$to" --check
	check_eq "$address: applied again, nothing was missing" \
		"$(realserver direct-reply "$at" --server "$to" --apply)" 'nothing was missing'
	must lvs -A -t "$at" -s rr
	must lvs -a -t "$at" -r "$to" -m --direct-reply
	must lvs -A -u "$at" -s rr
	must lvs -a -u "$at" -r "$to" -m --direct-reply
	check_eq "$address: TCP clients are answered by A" "$(client get tcp "$address" 80 3)" 'A A A'
	check_eq "$address: UDP clients are answered by A" "$(client get udp "$address" 80 3)" 'A A A'
	check_eq "$address: the server sees the port that the director writes" "$(client seen tcp "$address" 80)" "$to"
	client hold big tcp "$address" 80 >/dev/null
	check_eq "$address: ten megabytes arrive and come back" "$(client exchange big 10000000)" A
	client close big >/dev/null
	read -r _ _ out _ <<<"$(statistics -t "$at")"
	check_eq "$address: the director sees no reply" "$out" 0
	check_eq "$address: the client's FIN is all that the director sees of the end" \
		"$(on director cat /proc/net/ip_vs_conn | awk '$1 == "TCP" { print $(NF - 1) }' | sort -u)" FIN_WAIT
	flush
done
must lvs -A -t $vip:81 -s rr
must lvs -a -t $vip:81 -r 10.1.0.21:81 -m --direct-reply
must realserver direct-reply $vip:81 --server 10.1.0.21:81 --apply
check_eq 'a reset of the server reaches the client' "$(client get tcp $vip 81)" refused
check_match 'saved rules have the setting' "$(lvs -S -n | tail -n 1)" '-a -t 10.1.0.100:81 -r 10.1.0.21:81 -m --direct-reply -w 1'
check_eq 'and JSON' "$(lvs -L --json | jq -r .services[0].destinations[0].forwarding)" direct_reply
check_eq 'rules that were saved make the same service' "$(lvs -S -n | lvs diff - | tail -n 1)" 'no differences'
flush

# --- the other methods ----------------------------------------------------------------------------

# works METHOD OPTION SERVER ARGUMENTS: a client is answered only after --apply.
works() {
	local method=$1 option=$2 to=$3 address=$4
	shift 4
	bare_again
	check_fails "$method, $address: the bare host fails the check" 'FAIL' realserver "$method" "$address" "$@" --check
	check "$method, $address: --apply does what is missing" realserver "$method" "$address" "$@" --apply
	check "$method, $address: the check passes" realserver "$method" "$address" "$@" --check
	local at=$address:80
	[[ $address != *:* ]] || at="[$address]:80"
	must lvs -A -t "$at" -s rr
	# shellcheck disable=SC2086
	must lvs -a -t "$at" -r "$to" $option
	check_eq "$method, $address: clients are answered" "$(client get tcp "$address" 80 3)" 'A A A'
	client hold big tcp "$address" 80 >/dev/null
	check_eq "$method, $address: large requests and answers arrive" "$(client exchange big 300000)" A
	client close big >/dev/null
	flush
}
bare_again() {
	local address
	for address in $vip $vip6; do
		ip -n A address del "$address" dev lo 2>/dev/null
	done
	ip -n A link set tunl0 down
	ip -n A fou del port 6080 2>/dev/null
	ip -n A link set gre0 down 2>/dev/null
	on A nft flush ruleset
}
works dr -g 10.1.0.11 $vip
works dr -g fd00:0:0:1::11 $vip6
works ipip -i 10.3.0.11 $vip
works ipip -i fd00:0:0:3::11 $vip6
works gue '-i --tun-type gue --tun-port 6080' 10.3.0.11 $vip
works gre '-i --tun-type gre' 10.3.0.11 $vip
check_eq 'the router keeps the link address of the director' \
	"$(ip -n router -j neigh show to $vip | jq -r '.[0].lladdr // "none"')" \
	"$(ip -n director -j link show dev eth0 | jq -r .[0].address)"

# --- bad input ------------------------------------------------------------------------------------

check_fails 'an address that the host lacks is named, and nothing is changed' \
	'nothing was changed.*10.9.9.9 is no address of this machine' \
	realserver direct-reply $vip:80 --server 10.9.9.9:8080 --apply
bare_again
before=$(on A nft list ruleset; ip -n A address)
check_fails 'without nft a host gets no half of a tunnel' 'nothing was changed.*nft is not installed' \
	on A env PATH=/nowhere "$(command -v "$LVSADM")" realserver ipip $vip --apply
check_eq 'the host is unchanged' "$(on A nft list ruleset; ip -n A address)" "$before"
check_fails 'an unknown method is refused with the known ones' 'dr, ipip, gue, gre, direct-reply' \
	realserver tun $vip
check_match 'the unit runs the command' "$(realserver dr $vip --unit | grep Exec)" \
	'ExecStart=/usr/sbin/lvsadm realserver dr 10.1.0.100 --apply'
realserver gue $vip $vip6 >"$work/script"
check 'what it prints is a shell script' bash -n "$work/script"

finish
