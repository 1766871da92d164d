#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Services without connection entries (oneip-stateless). Two independent directors send one client
# to one server, connections continue when the other director takes over, and no entry is created.
# timeout: 300
# check: debug, because choices do not depend on the kernel
#
# Functions are called through wait_for, check_soon and all.
# shellcheck disable=SC2317

# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"

unload_all "$IPVS_MODULE"
must module_load "$IPVS_MODULE"
topology_up

# A second director on the front network, 10.1.0.2. Both have the virtual address; the route of the
# router selects one.
hosts+=' second'
must ip netns add second
must ip link add eth0 netns second type veth peer name second0 netns router
must ip -n router link set second0 up master front
vip=$marked_vip vip6=$(six "$marked_vip")
{
	echo "link set lo up"
	echo "link set eth0 up"
	echo "address add 10.1.0.2/24 dev eth0"
	echo "address add fd00:0:0:1::2/64 dev eth0"
	echo "route add default via 10.1.0.254"
	echo "route add default via fd00:0:0:1::254"
} | batch -n second
sysctls second net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.conf.{all,default,eth0}.rp_filter=0 \
	net.ipv4.conf.{all,eth0}.send_redirects=0
for host in director second; do
	must ip -n $host address add "$vip/32" dev eth0
	must ip -n $host address add "$vip6/128" dev eth0 preferred_lft 0
done
# by director|second: makes the router send clients to that director.
by() {
	local number=1
	[ "$1" = director ] || number=2
	must ip -n router route replace 10.4.0.0/24 via 10.1.0.$number
	must ip -n router route replace fd00:0:0:4::/64 via fd00:0:0:1::$number
}
by director

client_up client
servers_up A B C director

# both COMMAND…: runs the command for both directors.
both() {
	DIRECTOR=director "$@"
	DIRECTOR=second "$@"
}
# Prints the number of entries in both tables.
remembered() {
	echo "$(($(on director cat /proc/net/ip_vs_conn | wc -l) - 1)) $(($(on second cat /proc/net/ip_vs_conn | wc -l) - 1))"
}
tenants_up

# --- two directors --------------------------------------------------------------------------------

services() {
	local order=("$@") at
	for at in "$vip" "[$vip6]"; do
		service -t "$at:80" oneip -b oneip-stateless -- "${order[@]}"
		service -u "$at:80" oneip -b oneip-stateless -- "${order[@]}"
	done
}
DIRECTOR=director services A:g:1 B:i:1 C:g:1
DIRECTOR=second services C:g:1 A:g:1 B:i:1
check_eq 'the rules show the flag as ipvsadm names it' "$(configuration | grep -c -- '-s oneip -b flag-1')" 4

declare -A at_first
for row in "tcp $vip" "udp $vip" "tcp $vip6" "udp $vip6"; do
	read -r protocol address <<<"$row"
	by director
	before=$(tenants "$protocol" "$address")
	at_first[$row]=$before
	check_match "$protocol, $address: sixteen clients use all servers" "$(tr ' ' '\n' <<<"$before" | sort -u | xargs)" 'A B C'
	by second
	check_eq "$protocol, $address: the other director chooses the same servers" "$(tenants "$protocol" "$address")" "$before"
done
check_eq 'TCP and UDP clients get the same servers' "${at_first["tcp $vip"]}" "${at_first["udp $vip"]}"
check_eq 'no director creates an entry' "$(remembered)" '0 0'

# --- a backup takes over under load, and nobody is redirected ------------------------------------

# The packet leaves by the interface by which it came. A router would tell the sender of a shorter
# way (section 4.1 of the paper).
for host in director second; do
	sysctls $host net.ipv4.conf.{all,eth0}.send_redirects=1
	must on $host nft -f - <<-'END'
		table inet redirects {
			counter sent {}
			chain output {
				type filter hook output priority filter
				icmp type redirect counter name sent
				icmpv6 type nd-redirect counter name sent
			}
		}
	END
done
redirects() {
	for host in director second; do
		on $host nft list counter inet redirects sent | awk '$1 == "packets" { print $2 }'
	done | xargs
}
further() { [ "$(client progress busy)" -gt $((before + 20)) ]; }
by director
for row in "tcp $vip" "tcp $vip6" "udp $vip"; do
	read -r protocol address <<<"$row"
	client load busy "$protocol" "$address" 80 4 >/dev/null
	# As the paper's watchd, or a router's protocol, does when a dispatcher fails.
	for director in second director second director; do
		before=$(client progress busy)
		by $director
		wait_for 30 further
	done
	check_match "$protocol, $address: clients lose no request when another director takes over" "$(client stop busy)" '[ABC]=[0-9]+'
done
check_eq 'no director sends a redirect' "$(redirects)" '0 0'
for host in director second; do must on $host nft delete table inet redirects; done

# --- connections that switch directors ------------------------------------------------------------

by director
for n in $(seq 21 28); do
	client from "10.0.0.$n" >/dev/null
	client hold kept tcp "$vip" 80 >/dev/null
	client from "$(six "10.0.0.$n")" >/dev/null
	client hold kept tcp "$vip6" 80 >/dev/null
done
client from 10.0.0.1 >/dev/null
client from fd00::1 >/dev/null
before=$(client again kept)
for host in second director second; do
	by $host
	check_eq "connections continue through the $host" "$(client again kept)" "$before"
	check_eq "large bodies arrive through the $host" "$(client exchange kept 100000)" "$before"
done
client load x tcp "$vip" 80 3 >/dev/null
client load y tcp "$vip6" 80 3 >/dev/null
for n in $(seq 1 20); do
	by director
	sleep 0.05
	by second
	sleep 0.05
done
check_match 'an IPv4 load is served while the route alternates' "$(client stop x)" '[ABC]=[0-9]+'
check_match 'an IPv6 load is served while the route alternates' "$(client stop y)" '[ABC]=[0-9]+'
check_eq 'switching directors creates no entry' "$(remembered)" '0 0'
check_eq 'no connection is counted' "$(connections -t "$vip:80")" 'A 0/0 B 0/0 C 0/0'

# --- a server that fails --------------------------------------------------------------------------

before=${at_first["tcp $vip"]}
both destination -e -t "$vip:80" B:i:0
both destination -e -u "$vip:80" B:i:0
for host in director second; do
	by $host
	after=$(tenants tcp "$vip")
	check_match "only the clients of a quiesced server move, through the $host" "$after" "${before//B/[AC]}"
	check_eq "UDP clients move to the same servers, through the $host" "$(tenants udp "$vip")" "$after"
done
DIRECTOR=second destination -d -t "$vip:80" B:i:0
check_eq 'a deleted server and one of weight 0 give the same choices' "$(tenants tcp "$vip")" "$after"
DIRECTOR=second destination -a -t "$vip:80" B:i:1
check_eq 'a server that returns gets its clients back' "$(tenants tcp "$vip")" "$before"
must destination -e -t "$vip:80" B:i:1
for server in A:g:0 B:i:0 C:g:0; do destination -e -t "$vip:80" $server; done
by director
check_eq 'a service without usable servers refuses clients' "$(client get tcp "$vip" 80)" refused
client close kept >/dev/null
flush
DIRECTOR=second flush

# --- fragments and ICMP errors --------------------------------------------------------------------

takes_orders pieces client fragments.py 10.0.0.1 fd00::1
for row in "$vip $vip" "$vip6 [$vip6]"; do
	read -r address at <<<"$row"
	for method in g i; do
		service -u "$at:80" oneip -b flag-1 -- A:$method:1 B:$method:1 C:$method:1
		service -u "$at:8000" oneip -b flag-1 -- A:$method:1 B:$method:1 C:$method:1
		server=$(client get udp "$address" 80)
		check_eq "$address, $method: fragments and whole datagrams reach the same server" \
			"$(ask pieces send "$address" 80 3000 1200 forward backward shuffled)" "$server $server $server"
		# A client of server A sends an error about an answer.
		for n in $(seq 21 36); do
			from=10.0.0.$n
			[[ $address != *:* ]] || from=$(six "$from")
			client from "$from" >/dev/null
			[ "$(client get udp "$address" 8000)" != A ] || break
		done
		takes_orders "errors$address$method" client errors.py "$from"
		device=eth0
		[ $method = g ] || device=tunl0
		[ "$method$address" != "i$vip6" ] || device=ip6tnl0
		read -r kind code rest <<<"$([[ $address != *:* ]] && echo 3 3 0 || echo 1 4 0)"
		check_eq "$address, $method: A serves a flow" "$(ask "errors$address$method" open flow udp "$address" 8000)" A
		check_match "$address, $method: an ICMP error of the client reaches A" \
			"$(ask "errors$address$method" from_client flow "$address" "$device" "$kind" "$code" "$rest" 8)" \
			"$kind/$code/$rest .*"
		client from 10.0.0.1 >/dev/null
		client from fd00::1 >/dev/null
		flush
	done
done
check_eq 'fragments and errors create no entry' "$(remembered)" '0 0'

service -t "$vip:80" oneip -b oneip-stateless -- A:g:1
check_eq 'A serves five requests' "$(client get tcp "$vip" 80 5)" 'A A A A A'
check_soon 'the statistics count each SYN as a connection' '5 5  ' scheduled -t "$vip:80"
check_match 'the statistics count all packets' "$(statistics -t "$vip:80")" '5 [2-9][0-9] 0 [1-9][0-9]+ 0'
flush
must lvs -A -t "$vip:80" -s oneip -b oneip-stateless
must lvs -a -t "$vip:80" -r 10.1.0.1 -g
check_eq 'the director itself serves' "$(client get tcp "$vip" 80 3)" 'director director director'
check_match 'the statistics count connections to the director itself' "$(statistics -t "$vip:80")" '3 .*'
flush

# --- features that need entries -------------------------------------------------------------------

at=$vip:80
needs='without connection entries'
check_fails 'adding a stateless service with persistence is refused' "$needs" lvs -A -t "$at" -s oneip -b oneip-stateless -p 60
check_fails 'adding a stateless service with one-packet scheduling is refused' "$needs" lvs -A -u "$at" -s oneip -b oneip-stateless --ops
must lvs -A -t "$at" -s oneip -b oneip-stateless
check_fails 'adding a NAT server to a stateless service is refused' "$needs" lvs -a -t "$at" -r 10.2.0.11:80 -m
check_fails 'adding a server with thresholds to a stateless service is refused' "$needs" lvs -a -t "$at" -r 10.1.0.11 -g -x 10 -y 5
must lvs -a -t "$at" -r 10.1.0.11 -g
check_fails 'editing a server to NAT is refused' "$needs" lvs -e -t "$at" -r 10.1.0.11 -m
check_fails 'editing thresholds is refused' "$needs" lvs -e -t "$at" -r 10.1.0.11 -g -x 10 -y 5
check_fails 'editing the service to be persistent is refused' "$needs" lvs -E -t "$at" -s oneip -b oneip-stateless -p 60
check_eq 'refused commands leave the configuration unchanged' "$(configuration | xargs)" \
	"-A -t $at -s oneip -b flag-1 -a -t $at -r 10.1.0.11:80 -g -w 1"
must lvs -E -t "$at" -s sh -b sh-fallback
check 'the same flag of another scheduler allows NAT' lvs -e -t "$at" -r 10.1.0.11 -m
check_fails 'a service with a NAT server cannot become stateless' "$needs" lvs -E -t "$at" -s oneip -b oneip-stateless
must lvs -e -t "$at" -r 10.1.0.11 -g
must lvs -E -t "$at" -s oneip
client hold kept tcp "$vip" 80 2 >/dev/null
check_eq 'a service without the flag creates entries' "$(remembered)" '2 0'
must lvs -E -t "$at" -s oneip -b oneip-stateless
check_eq 'entries continue when the service becomes stateless' "$(client again kept)" 'A A'
check_eq 'new connections of the stateless service create no entries' "$(client get tcp "$vip" 80 3; remembered)" $'A A A\n2 0'
finish
