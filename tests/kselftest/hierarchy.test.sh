#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Two levels of directors: a server of the first director is a director itself. All nine pairs of
# methods, both families, TCP and UDP, large bodies, and the death of a lower director.
# timeout: 900
# check: debug, because directors work alike on both kernels

# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"

must module_load "$IPVS_MODULE"
topology_up

# The lower director, with .31 in all networks. Its own servers are B and C, by NAT under the
# addresses 10.5.0.1x, whose replies leave through it.
hosts+=' lower'
must ip netns add lower
must ip link add eth0 netns lower type veth peer name lower0 netns router
must ip link add eth1 netns lower type veth peer name lower1 netns router
must ip -n router link set lower0 up master front
must ip -n router link set lower1 up master back
{
	echo "link set lo up"
	echo "link set eth0 up"
	echo "link set eth1 up"
	echo "link set tunl0 up"
	echo "link set ip6tnl0 up type ip6tnl mode any"
	echo "address add 10.1.0.31/24 dev eth0"
	echo "address add fd00:0:0:1::31/64 dev eth0"
	# The gateway of its servers by NAT, and the source of ARP requests: its servers have the
	# other address, too.
	echo "address add 10.2.0.32/24 dev eth1"
	echo "address add fd00:0:0:2::32/64 dev eth1"
	echo "address add 10.2.0.31/32 dev eth1"
	echo "address add fd00:0:0:2::31/64 dev eth1"
	echo "address add 10.3.0.31/32 dev lo"
	echo "address add fd00:0:0:3::31/128 dev lo"
	for vip in $vips; do
		echo "address add $vip/32 dev lo"
		echo "address add $(six "$vip")/128 dev lo preferred_lft 0"
	done
	echo "route add default via 10.1.0.254 advmss 1420"
	echo "route add default via fd00:0:0:1::254 advmss 1360"
	# What the first director rewrote returns to it.
	echo "route add default via 10.2.0.1 table 100"
	echo "route add default via fd00:0:0:2::1 table 100"
	echo "rule add from 10.2.0.31 lookup 100"
	for n in 12 13; do
		echo "route add 10.5.0.$n via 10.2.0.$n"
		echo "route add fd00:0:0:5::$n via fd00:0:0:2::$n"
	done
} | batch -n lower
must ip -6 -n lower rule add from fd00:0:0:2::31 lookup 100
sysctls lower net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.conf.{all,default,eth0,eth1,tunl0}.rp_filter=0 \
	net.ipv4.conf.{all,eth0,eth1}.send_redirects=0 net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2
{
	echo "route add 10.3.0.31 via 10.1.0.31"
	echo "route add fd00:0:0:3::31 via fd00:0:0:1::31"
} | batch -n router
n=11
for host in B C; do
	n=$((n + 1))
	{
		echo "address add 10.5.0.$n/32 dev lo"
		echo "address add fd00:0:0:5::$n/128 dev lo"
		# The service's address at the lower director under NAT.
		echo "address add 10.2.0.31/32 dev lo"
		echo "address add fd00:0:0:2::31/128 dev lo preferred_lft 0"
		echo "route add default via 10.2.0.32 table 200"
		echo "route add default via fd00:0:0:2::32 table 200"
		echo "rule add from 10.5.0.$n lookup 200"
		echo "rule add from 10.2.0.31 lookup 100"
		# Two tunnels one in the other.
		echo "route replace default via 10.1.0.254 advmss 1420"
		echo "route replace default via fd00:0:0:1::254 advmss 1360"
	} | batch -n $host
	must ip -6 -n $host rule add from fd00:0:0:5::$n lookup 200
	must ip -6 -n $host rule add from fd00:0:0:2::31 lookup 100
done

client_up client
servers_up A B C

# of METHOD NUMBER: the address of a server by that method, for IPv4.
of() {
	case $1 in
	m) echo "10.2.0.$2" ;;
	i) echo "10.3.0.$2" ;;
	g) echo "10.1.0.$2" ;;
	esac
}
# for_family 4|6 ADDRESS: the address in that family, in brackets for IPv6.
for_family() {
	if [ "$1" = 6 ]; then echo "[$(six "$2")]"; else echo "$2"; fi
}
# pair FAMILY UPPER LOWER: makes services on both levels. The first director's only server is the
# lower director.
pair() {
	local family=$1 upper=$2 lower=$3 at below server n option
	at=$(for_family "$family" 10.1.0.100):80
	below=$at
	[ "$upper" != m ] || below=$(for_family "$family" 10.2.0.31):80
	for option in -t -u; do
		must lvs -A $option "$at" -s rr
		must lvs -a $option "$at" -r "$(for_family "$family" "$(of "$upper" 31)"):80" "-$upper"
		DIRECTOR=lower must lvs -A $option "$below" -s rr
		for n in 12 13; do
			server=$(of "$lower" $n)
			[ "$lower" != m ] || server=10.5.0.$n
			DIRECTOR=lower must lvs -a $option "$below" -r "$(for_family "$family" "$server"):80" "-$lower"
		done
	done
}
clear() {
	flush
	DIRECTOR=lower must lvs -C
}

for family in 4 6; do
	address=10.1.0.100
	[ $family = 4 ] || address=$(six $address)
	for upper in m i g; do
		for lower in m i g; do
			what="-$upper above -$lower, IPv$family"
			pair $family $upper $lower
			check_match "$what: TCP clients reach both servers" "$(client get tcp "$address" 80 4)" 'B C B C|C B C B'
			check_match "$what: UDP clients reach both servers" "$(client get udp "$address" 80 4)" 'B C B C|C B C B'
			client hold big tcp "$address" 80 >/dev/null
			check_match "$what: a megabyte arrives and comes back" "$(client exchange big 1000000)" 'B|C'
			client close big >/dev/null
			clear
		done
	done
done

# --- the path MTU through two tunnels -------------------------------------------------------------

# The lower director unwraps each packet and wraps it again. The client learns the narrowest of both
# tunnels, less the header of one.
takes_orders errors client errors.py 10.0.0.1 fd00::1
for family in 4 6; do
	# The headers of the tunnel, and of a datagram to the client's eyes.
	version=-4 outer=20 inner=28 address=10.1.0.100
	if [ $family = 6 ]; then
		version=-6 outer=40 inner=48 address=$(six $address)
	fi
	# narrow NUMBER MTU: the router's link to the host with that number.
	narrow() {
		local host=10.3.0.$1 via=10.1.0.$1
		if [ $family = 6 ]; then
			host=$(six "$host") via=$(six "$via")
		fi
		must ip $version -n router route change "$host" via "$via" mtu lock "$2"
	}
	# learns KNOWN WANTED: sends what fits the MTU that the client knows already.
	learns() { ask errors learns "$address" 80 $(($1 - inner)) "$2"; }
	pair $family i i
	wide=$((1500 - outer))
	check_match "two tunnels, IPv$family: the client learns the MTU of a tunnel" "$(learns 1500 $wide)" "$wide (B|C)"
	narrow 31 1440
	check_match "two tunnels, IPv$family: it learns that of a narrow link before the lower director" \
		"$(learns $wide $((1440 - outer)))" "$((1440 - outer)) (B|C)"
	narrow 12 1400
	narrow 13 1400
	check_match "two tunnels, IPv$family: it learns that of a narrower link behind it" \
		"$(learns $((1440 - outer)) $((1400 - outer)))" "$((1400 - outer)) (B|C)"
	must ip $version -n client route flush cache
	client hold big tcp "$address" 80 >/dev/null
	check_match "two tunnels, IPv$family: a megabyte passes the narrow links" "$(client exchange big 1000000)" 'B|C'
	client close big >/dev/null
	for n in 31 12 13; do narrow $n 1500; done
	must ip $version -n client route flush cache
	clear
done

# --- hashing on both levels -----------------------------------------------------------------------

# With the same hash, the first director sends only clients of every other slot to the lower one.
tenants_up
must lvs -A -t 10.1.0.100:80 -s sh
must lvs -a -t 10.1.0.100:80 -r 10.1.0.31:80 -g
must lvs -a -t 10.1.0.100:80 -r 10.1.0.11:80 -g
DIRECTOR=lower must lvs -A -t 10.1.0.100:80 -s sh
DIRECTOR=lower must lvs -a -t 10.1.0.100:80 -r 10.1.0.12:80 -g
DIRECTOR=lower must lvs -a -t 10.1.0.100:80 -r 10.1.0.13:80 -g
used() { tr ' ' '\n' | sort -u | xargs; }
before=$(tenants tcp 10.1.0.100)
check_eq 'with the same hash on both levels, a server of the lower director has no clients' "$(used <<<"$before")" 'A B'
check_eq 'the lower director takes a seed' "$(DIRECTOR=lower lvs set -t 10.1.0.100:80 --hash-seed 1 >/dev/null
	DIRECTOR=lower lvs -S -n | head -n 1)" '-A -t 10.1.0.100:80 -s sh --hash-seed 1'
after=$(tenants tcp 10.1.0.100)
check_eq 'with another seed, both have clients' "$(used <<<"$after")" 'A B C'
check_eq 'the first director chooses as before' "${after//[BC]/L}" "${before//[BC]/L}"
check_eq 'rules that were saved make the same service' "$(DIRECTOR=lower lvs -S -n | DIRECTOR=lower lvs diff - | tail -n 1)" 'no differences'
check_eq 'JSON has the seed' "$(DIRECTOR=lower lvs -L --json | jq .services[0].hash_seed)" 1
clear

# --- the weight of a lower director ---------------------------------------------------------------

# Its agent reports how many of its servers take connections.
must lvs -A -t 10.1.0.100:80 -s wrr
must lvs -a -t 10.1.0.100:80 -r 10.1.0.31:80 -g -w 100
DIRECTOR=lower must lvs -A -t 10.1.0.100:80 -s rr
DIRECTOR=lower must lvs -a -t 10.1.0.100:80 -r 10.1.0.12:80 -g
DIRECTOR=lower must lvs -a -t 10.1.0.100:80 -r 10.1.0.13:80 -g
live=/usr/share/doc/ipvs_rs/examples/failover/live-servers
[ -e $live ] || live=$here/../../packaging/live-servers
on lower socat TCP-LISTEN:5555,reuseaddr,fork SYSTEM:"sh $live -t 10.1.0.100\:80" 2>/dev/null &
agent=$!
wait_for 20 eval 'on lower ss -Hltn sport = 5555 | grep -q 5555'
echo '-a -t 10.1.0.100:80 -r 10.1.0.31:80 -g -w 100 --agent 10.1.0.31:5555' >"$work/feedback"
weight() {
	lvs feedback "$work/feedback" --once --period 5s >/dev/null
	lvs -L -n | awk '$1 == "->" && $2 ~ /^10.1.0.31/ { print $4 }'
}
check_eq 'a lower director whose servers all live keeps its weight' "$(weight)" 100
DIRECTOR=lower must lvs -e -t 10.1.0.100:80 -r 10.1.0.13:80 -g -w 0
check_soon 'when half of its servers are quiesced, its weight falls to about a half' '5[0-4]' eval 'weight | grep -Eo "^5[0-4]\$" >/dev/null && echo "5[0-4]"'
DIRECTOR=lower must lvs -e -t 10.1.0.100:80 -r 10.1.0.12:80 -g -w 0
check_eq 'without servers it gets no new clients' "$(weight)" 0
kill $agent
wait $agent 2>/dev/null
clear

# --- a lower director dies ------------------------------------------------------------------------

must lvs -A -t 10.1.0.100:80 -s rr --redispatch
must lvs -a -t 10.1.0.100:80 -r 10.1.0.31:80 -g
must lvs -a -t 10.1.0.100:80 -r 10.1.0.11:80 -g
DIRECTOR=lower must lvs -A -t 10.1.0.100:80 -s rr
DIRECTOR=lower must lvs -a -t 10.1.0.100:80 -r 10.1.0.12:80 -g
check_match 'a server and a director share the clients of the first director' \
	"$(client get tcp 10.1.0.100 80 4)" 'A B A B|B A B A'
must ip -n lower link set eth0 down
check_eq 'when the lower director dies, redispatch sends its clients to the server' \
	"$(client get tcp 10.1.0.100 80 4)" 'A A A A'

finish
