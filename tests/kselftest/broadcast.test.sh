#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# ONE-IP's broadcast-based dispatching (section 5 of the paper): the router sends every request to
# all servers, and the filter of each server takes those of its own clients. There is no director.
# timeout: 400
# check: debug, because choices do not depend on the kernel
#
# Functions are called through wait_for, check_soon and all.
# shellcheck disable=SC2016,SC2317

# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"

must module_load "$IPVS_MODULE"
topology_up
tenants_up

# All servers have the ghost address. The router's route to it leads to another, unused address,
# whose link address is that of all hosts. A permanent entry of the ghost address itself would be
# replaced when a server answers.
ghost=$marked_vip ghost6=$(six "$marked_vip")
spare=10.1.0.200 spare6=$(six 10.1.0.200)
{
	echo "neigh replace $spare lladdr ff:ff:ff:ff:ff:ff nud permanent dev front"
	echo "neigh replace $spare6 lladdr ff:ff:ff:ff:ff:ff nud permanent dev front"
} | batch -n router
to_all() {
	must ip -n router route replace 10.4.0.0/24 via $spare
	must ip -n router route replace fd00:0:0:4::/64 via "$spare6"
}
# What the router sees of the answers.
must on router nft -f - <<-END
	table inet seen {
		counter accepted {}
		counter resets {}
		counter datagrams {}
		counter echoes {}
		chain forward {
			type filter hook forward priority filter
			iifname != front accept
			tcp flags & (syn | ack) == syn | ack counter name accepted
			tcp flags & rst == rst counter name resets
			udp sport 80 counter name datagrams
			icmp type echo-reply counter name echoes
		}
	}
END
# seen COUNTER: prints the number of packets since the last look.
seen() {
	on router nft reset counter inet seen "$1" | awk '$1 == "packets" { print $2 }'
}
# all COMMAND…: runs the command on each server.
all() {
	local host
	for host in A B C; do DIRECTOR=$host "$@"; done
}
services() {
	local at
	for at in $ghost "[$ghost6]"; do
		service -t "$at:80" oneip -b "$1" -- A:g:1 B:g:1 C:g:1
		service -u "$at:80" oneip -b "$1" -- A:g:1 B:g:1 C:g:1
	done
}
client_up client
servers_up A B C

# --- a director, for comparison -------------------------------------------------------------------

{
	echo "address add $ghost/32 dev eth0"
	echo "address add $ghost6/128 dev eth0 preferred_lft 0"
} | batch -n director
services oneip-stateless
declare -A dispatched
for row in "tcp $ghost" "udp $ghost" "tcp $ghost6" "udp $ghost6"; do
	read -r protocol address <<<"$row"
	dispatched[$row]=$(tenants "$protocol" "$address")
done
flush
must ip -n director address del $ghost/32 dev eth0
must ip -n director address del "$ghost6/128" dev eth0

# --- the filter -----------------------------------------------------------------------------------

to_all
client patience 3 >/dev/null
all services oneip-stateless
check_match 'without the flag, no server takes TCP from a broadcast frame' "$(client get tcp $ghost 80)" 'timeout|timed-out'
all flush
client patience 10 >/dev/null
all services oneip-stateless,oneip-filter
check_eq 'the rules show the flag' "$(DIRECTOR=A configuration | grep -c -- '-s oneip -b flag-1,flag-3')" 4
check_eq 'the listing, too' "$(DIRECTOR=A lvs -L -n | grep -c 'oneip.*flag-1,flag-3')" 4
link() { ip -n router -j neigh show to "$spare" | jq -r '.[0].lladdr'; }
for row in "tcp $ghost" "udp $ghost" "tcp $ghost6" "udp $ghost6"; do
	read -r protocol address <<<"$row"
	for counter in accepted resets datagrams; do seen $counter >/dev/null; done
	check_eq "$protocol, $address: sixteen clients get the servers that a director chooses" \
		"$(tenants "$protocol" "$address")" "${dispatched[$row]}"
	case $protocol in
	tcp) check_eq "$address: one server accepts each connection, and none resets it" "$(seen accepted) $(seen resets)" '16 0' ;;
	udp) check_eq "$address: each datagram has one answer" "$(seen datagrams)" 16 ;;
	esac
done
check_match 'the clients are those of all servers' "$(tr ' ' '\n' <<<"${dispatched["tcp $ghost"]}" | sort -u | xargs)" 'A B C'
client hold big tcp $ghost 80 >/dev/null
check_match 'a megabyte arrives and comes back' "$(client exchange big 1000000)" '[ABC]'
client close big >/dev/null
check_match 'datagrams in fragments arrive' "$(client datagrams $ghost 80 4000)" '[ABC]=1'
check_eq 'the servers keep no entries' "$(all eval 'on $DIRECTOR cat /proc/net/ip_vs_conn | wc -l' | xargs)" '1 1 1'
dropped() {
	DIRECTOR=$1 lvs -L -n --stats --json | jq '[.services[].drops.filtered // 0] | add'
}
check 'each server counts what it left to the others' test "$(dropped A)" -gt 0 -a "$(dropped B)" -gt 0 -a "$(dropped C)" -gt 0
check_eq 'the router still sends to all' "$(link)" ff:ff:ff:ff:ff:ff

# Echo requests are for no service, so all servers would answer. One rule leaves each client to one
# server; kernels without its hash leave all to A.
echoes() {
	on "$1" nft -f - <<-END
		table ip ghost {
			chain prerouting {
				type filter hook prerouting priority raw
				ip daddr $ghost icmp type echo-request meta pkttype broadcast $2 drop
			}
		}
	END
}
number=0
for host in A B C; do
	echoes $host "jhash ip saddr mod 3 seed 7 != $number" 2>/dev/null || [ $host = A ] || must echoes $host ''
	number=$((number + 1))
done
seen echoes >/dev/null
check 'an echo request is answered' on client ping -c 3 -i 0.2 -W 5 $ghost
check_eq 'by one server, with a rule of nftables' "$(seen echoes)" 3

# --- the set of servers changes under load --------------------------------------------------------

before=${dispatched["tcp $ghost"]}
client_up loader client 10.0.0.2
mine=$(ask loader get tcp $ghost 80)
other=A
[ "$mine" != A ] || other=B
ask loader hold kept tcp $ghost 80 >/dev/null
ask loader load busy tcp $ghost 80 >/dev/null
busy() { [ "$(ask loader progress busy)" -gt 20 ]; }
check 'clients connect all the time' wait_for 20 busy
seen resets >/dev/null
# Prints the number of clients that moved although their server is there, or that got no other one.
astray() {
	local was now n count=0
	read -ra was <<<"$before"
	read -ra now <<<"$(tenants tcp $ghost)"
	for n in "${!was[@]}"; do
		case ${was[n]}-${now[n]-} in
		"$other-$other") count=$((count + 1)) ;;
		$other-[ABC] | A-A | B-B | C-C) ;;
		*) count=$((count + 1)) ;;
		esac
	done
	echo $count
}
# Everywhere, as keepalived would do it on each server.
all destination -e -t $ghost:80 $other:g:0
check_eq 'a server leaves: only its clients move' "$(astray)" 0
all destination -e -t $ghost:80 $other:g:1
check_eq 'it returns: all clients have their former servers' "$(tenants tcp $ghost)" "$before"
all destination -d -t $ghost:80 $other:g:1
check_eq 'it is deleted: only its clients move' "$(astray)" 0
all destination -a -t $ghost:80 $other:g:1
check_eq 'it is added again: its clients return' "$(tenants tcp $ghost)" "$before"
check_match 'no request of another server was lost meanwhile' "$(ask loader stop busy)" "$mine=[0-9]+"
check_eq 'nor reset' "$(seen resets)" 0
check_eq 'a connection to another server continues' "$(ask loader again kept)" "$mine"
ask loader close kept >/dev/null

all flush
finish
