#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A director is replaced while connections are open (packaging/replace): the C director by ipvs_rs,
# ipvs_rs by itself, and ipvs_rs by the C director. The rules, the settings, the connections and the
# templates survive.
# timeout: 240
# check: debug, because migrating.test.sh replaces directors on the stock kernel

# Functions are called by name; awk has variables of its own.
# shellcheck disable=SC2016,SC2317
# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"

replace=/usr/lib/ipvs_rs/replace
unload_all ip_vs
unload_all ipvs_rs
must modprobe ip_vs
topology_up
client_up client
servers_up A B C
must on director nft 'table inet marks { chain pre { type filter hook prerouting priority mangle;
	ip daddr 10.4.0.1 meta mark set 1; }; }'
IPVS_MODULE=ip_vs
for vip in 10.1.0.100 "[$(six 10.1.0.100)]"; do
	service -t "$vip:80" rr -- A:m:1 B:i:1 C:g:1
	service -u "$vip:80" rr -- A:m:1 B:i:1 C:g:1
	service -t "$vip:8080" wrr -p 300 -- A:m:3 B:i:1
done
service -f 1 rr -p 300 -- A:g:1 B:g:1
must on director sysctl -qw net.ipv4.vs.expire_nodest_conn=1

held=(tcp udp tcp6 udp6 persistent mark)
for protocol in tcp udp; do
	check_eq "$protocol connections open" "$(client hold $protocol $protocol 10.1.0.100 80 6 | wc -w)" 6
	check_eq "$protocol connections open over IPv6" "$(client hold ${protocol}6 $protocol "$(six 10.1.0.100)" 80 6 | wc -w)" 6
done
check_eq 'persistent connections open' "$(client hold persistent tcp 10.1.0.100 8080 3 | wc -w)" 3
check_eq 'connections of a firewall mark open' "$(client hold mark tcp 10.4.0.1 80 3 | wc -w)" 3

# The connections and templates, which both directors list with the same words here.
listing() {
	on director awk 'NR > 1 {
		sub(/ASSURED/, "NONE", $8)
		print $1, $2, $3, $4, $5, $6, $7, $8
	}' /proc/net/ip_vs_conn | sort
}
rules() { on director lvsadm -S -n | sort; }
directors() { lsmod | awk '$1 == "ip_vs" || $1 == "ipvs_rs" { print $1 }' | xargs; }
answers() {
	local tag
	for tag in "${held[@]}"; do printf '%s: %s\n' "$tag" "$(client again "$tag")"; done
}

# replaced NAME FORMER NEW ARGUMENT…: replaces the director, and compares before and after.
replaced() {
	local name=$1 former=$2 new=$3 before rules servers out
	shift 3
	servers=$(answers)
	before=$(listing) rules=$(rules)
	check_eq "$name: before" "$(directors)" "$former"
	out=$(on director bash "$replace" "$@" 2>&1) || note "$out"
	note "${out##*$'\n'}"
	check_match "$name: the script reports its success" "$out" ".*replaced $former by $new: packets waited [0-9]+ ms"
	check_eq "$name: afterwards the director is the new one" "$(directors)" "$new"
	check_eq "$name: the rules are the same" "$(rules)" "$rules"
	check_eq "$name: a setting is the same" "$(on director sysctl -n net.ipv4.vs.expire_nodest_conn)" 1
	check_eq "$name: the connections are the same" "$(listing)" "$before"
	check_eq "$name: each connection reaches its server" "$(answers)" "$servers"
	check_eq "$name: no rule of the firewall is left" "$(on director nft list tables | grep -c replace)" 0
}
replaced 'C director to ipvs_rs' ip_vs ipvs_rs ipvs_rs
check_eq 'a persistent client keeps its server' "$(client get tcp 10.1.0.100 8080 2)" \
	"$(client again persistent | awk '{ print $1, $1 }')"
replaced 'ipvs_rs to ipvs_rs' ipvs_rs ipvs_rs ipvs_rs
replaced 'ipvs_rs to the C director' ipvs_rs ip_vs C:ip_vs

before=$(listing) rules=$(rules)
check_fails 'a director that cannot be loaded: the script reports it' 'ip_vs cannot be replaced, and works again' \
	on director bash "$replace" ipvs_no_such_module
check_eq 'a director that cannot be loaded: the former one comes back' "$(directors)" ip_vs
check_eq 'a director that cannot be loaded: its rules come back' "$(rules)" "$rules"
check_eq 'a director that cannot be loaded: its connections come back' "$(listing)" "$before"

must on director lvsadm --start-daemon master --mcast-interface eth0
check_fails 'while a synchronization daemon runs, the script refuses' 'synchronization daemon' on director bash "$replace"
must on director lvsadm --stop-daemon master
printf 'no datagram' >"$work/wrong"
check_fails 'sync load refuses what is no file of sync save' 'not a file of lvsadm sync save' \
	on director bash -c 'lvsadm sync load <"$0"' "$work/wrong"
must on director ipvsadm -C
unload_all ip_vs
finish
