#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Source NAT on the director together with balancing by NAT: with conntrack=1, servers answer
# without a route to the clients; with conntrack=0, a masquerade rule never changes replies. With
# the short cut and without it, for both families.
# timeout: 200
# check: debug, because hooks have the same order on both kernels

# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"

unload_all "$IPVS_MODULE"
must module_load "$IPVS_MODULE"
topology_up
client_up client
servers_up A B C director

ours() { [ "$IPVS_MODULE" != ip_vs ]; }
modes='1 0'
ours || modes=0
short_cut() { ! ours || sysctls director net.ipv4.vs.short_cut="$1"; }

for address in 10.1.0.100 "[$(six 10.1.0.100)]"; do
	service -t "$address:80" rr -- A:m:1 B:m:1
	service -u "$address:80" rr -- A:m:1 B:m:1
	service -t "$address:8000" rr -- A:m:1
	service -u "$address:8000" rr -- A:m:1
done

# masquerade DEVICE: packets that leave by the device get the director's address as their source.
masquerade() {
	must on director nft "add table inet masq; delete table inet masq; table inet masq { chain post {
		type nat hook postrouting priority srcnat; oifname $1 masquerade; }; }"
}
no_masquerade() {
	must on director nft delete table inet masq
}
# The servers have no way back to the clients but their answers to the director's own address.
way_back() {
	local host n=10
	for host in A B; do
		n=$((n + 1))
		must ip -n $host rule "$1" from 10.2.0.$n lookup 100
		must ip -6 -n $host rule "$1" from fd00:0:0:2::$n lookup 100
	done
}
# tracked FAMILY VIP: connections of conntrack to the virtual address.
tracked() {
	on director conntrack -L -f "ipv$1" 2>/dev/null | grep -c "dst=$2 "
}

# --- conntrack=1, servers without a route back -----------------------------------------------

sysctls director net.ipv4.vs.conntrack=1
masquerade eth1
way_back del
client patience 3 >/dev/null
for mode in $modes; do
	short_cut "$mode"
	for family in 4 6; do
		vip=10.1.0.100 director='10\.2\.0\.1:[0-9]+'
		[ $family = 4 ] || vip=$(six $vip) director='\[fd00:0:0:2::1\]:[0-9]+'
		what="short_cut=$mode, IPv$family, masquerade"
		seen="[AB]-saw-$director"
		check_match "$what: TCP works, and servers see the director's address" "$(client get tcp "$vip" 80 2)" "$seen $seen"
		check_match "$what: UDP works, and servers see the director's address" "$(client get udp "$vip" 80 2)" "$seen $seen"
		on director conntrack -F >/dev/null 2>&1
		check_match "$what: a connection is tracked" "$(client get tcp "$vip" 8000) $(tracked $family "$vip")" "$seen 1"
	done
done

if ours; then
	# The entry of conntrack ends with the connection.
	must lvs --set 0 1 1
	for family in 4 6; do
		vip=10.1.0.100
		[ $family = 4 ] || vip=$(six $vip)
		on director conntrack -F >/dev/null 2>&1
		client get udp "$vip" 8000 >/dev/null
		check_soon "IPv$family: conntrack forgets a connection that timed out" 0 tracked $family "$vip"
	done
	must lvs --set 0 120 300
fi

# A connection that leaves its server for another one is tracked anew.
sysctls director net.ipv4.vs.expire_nodest_conn=1
for family in 4 6; do
	vip=10.1.0.100 at=10.1.0.100 first=10.2.0.11 second=10.2.0.12
	[ $family = 4 ] || { vip=$(six $vip) at="[$vip]" first="[$(six $first)]" second="[$(six $second)]"; }
	service -u "$at:53" rr -- 
	must lvs -a -u "$at:53" -r "$first:80" -m -w 1
	director='10\.2\.0\.1:[0-9]+'
	[ $family = 4 ] || director='\[fd00:0:0:2::1\]:[0-9]+'
	check_match "IPv$family: the first server answers a client's port" "$(client turns "$vip" 53 1)" "A-saw-$director"
	must lvs -d -u "$at:53" -r "$first:80"
	must lvs -a -u "$at:53" -r "$second:80" -m -w 1
	check_match "IPv$family: the second server answers after the first was removed" "$(client turns "$vip" 53 2)" \
		"B-saw-$director B-saw-$director"
	must lvs -D -u "$at:53"
done
sysctls director net.ipv4.vs.expire_nodest_conn=0
way_back add
no_masquerade

# --- conntrack=0: replies stay as untracked as requests --------------------------------------

sysctls director net.ipv4.vs.conntrack=0
on director conntrack -F >/dev/null 2>&1
masquerade eth0
for mode in $modes; do
	short_cut "$mode"
	for family in 4 6; do
		vip=10.1.0.100 at=10.1.0.101 own=10.1.0.1
		[ $family = 4 ] || { vip=$(six $vip) at="[$(six $at)]" own="[$(six $own)]"; }
		what="short_cut=$mode, IPv$family, conntrack=0"
		check_eq "$what: a masquerade rule leaves replies alone" \
			"$(client get tcp "$vip" 8000 2) $(client get udp "$vip" 8000 2)" 'A A A A'
		local_vip=${at#[} local_vip=${local_vip%]}
		for option in -t -u; do
			must lvs -A $option "$at:80" -s rr
			must lvs -a $option "$at:80" -r "$own:8000" -m
		done
		check_eq "$what: a masquerade rule leaves the replies of a server on the director alone" \
			"$(client get tcp "$local_vip" 80 2) $(client get udp "$local_vip" 80 2)" 'director director director director'
		for option in -t -u; do must lvs -D $option "$at:80"; done
	done
done
finish
