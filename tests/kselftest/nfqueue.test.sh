#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Packets that a program holds in NFQUEUE return in process context, also after the director was
# unloaded. Balancing continues behind every chain, and no packet runs into unloaded code.
# timeout: 150
# check: debug, because the debug kernel sees code that must not sleep

# Functions are called through check, with expressions for eval.
# shellcheck disable=SC2016,SC2317
# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"

unload_all "$IPVS_MODULE"
must module_load "$IPVS_MODULE"
modprobe nfnetlink_queue 2>/dev/null
topology_up
client_up client
servers_up A B C
takes_orders queue director nfqueue.py director 7

rows=('m NAT 10.1.0.100' 'i TUN 10.1.0.101' 'g DR 10.1.0.102')
services() {
	local row method vip address
	for row in "${rows[@]}"; do
		read -r method _ vip <<<"$row"
		for address in "$vip" "[$(six "$vip")]"; do
			service -u "$address:8000" rr -- A:"$method":1
			service -t "$address:80" rr -- A:"$method":1
		done
	done
}
services

# queue_at HOOK PRIORITY: all UDP and TCP of the tests goes through the queue there.
queue_at() {
	must on director nft "add table inet queued; delete table inet queued; table inet queued { chain queued {
		type filter hook $1 priority $2; meta l4proto { tcp, udp, ipencap, ipv6 } queue num 7; }; }"
}
queue_nowhere() {
	must on director nft delete table inet queued
}
seen_since() {
	[ "$(ask queue count)" -gt "$1" ]
}

modes='1 0'
[ "$IPVS_MODULE" != ip_vs ] || modes=0
for mode in $modes; do
	[ "$IPVS_MODULE" = ip_vs ] || sysctls director net.ipv4.vs.short_cut="$mode"
	for place in 'prerouting -310' 'input 0' 'forward 0' 'postrouting 0'; do
		read -r hook priority <<<"$place"
		queue_at "$hook" "$priority"
		for row in "${rows[@]}"; do
			read -r _ title vip <<<"$row"
			for address in "$vip" "$(six "$vip")"; do
				what="short_cut=$mode, queue in $hook, $title, $address"
				check_eq "$what: connections and bodies" \
					"$(client get udp "$address" 8000 2) $(client get tcp "$address" 80) $(client body "$address" 80 20001)" 'A A A A'
			done
		done
		queue_nowhere
	done
done
check "the program saw packets" seen_since 0
[ "$IPVS_MODULE" != ip_vs ] || finish

# --- unloading while packets wait ------------------------------------------------------------

sysctls director net.ipv4.vs.short_cut=1
client patience 1 >/dev/null
for place in 'prerouting -310' 'input 0' 'postrouting 0'; do
	read -r hook priority <<<"$place"
	must client load "$hook" udp 10.1.0.100 8000 4
	queue_at "$hook" "$priority"
	ask queue hold >/dev/null
	check "queue in $hook: packets wait" wait_for 10 eval '[ "$(ask queue held)" -gt 2 ]'
	flush
	check "queue in $hook: the module can be unloaded while packets wait" unload_all ipvs_rs
	check_match "queue in $hook: the program answers for packets afterwards" "$(ask queue release)" '[1-9][0-9]*'
	queue_nowhere
	client stop "$hook" >/dev/null
	must module_load ipvs_rs
	services
	check_eq "queue in $hook: a new director works" "$(client get udp 10.1.0.100 8000 2)" 'A A'
done
finish
