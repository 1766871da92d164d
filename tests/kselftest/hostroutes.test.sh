#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The host's routing holds for balanced packets: a server without a route, packets with a loopback
# source, rules on the virtual source and on marks, clients on the director. With the short cut and
# without it, for both families.
# timeout: 400
# check: debug, because routes.test.sh uses the routes of the stock kernel

# Functions are called by each_way.
# shellcheck disable=SC2317
# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"

unload_all "$IPVS_MODULE"
must module_load "$IPVS_MODULE"
topology_up
client_up client
takes_orders errors client errors.py 10.0.0.1 fd00::1
servers_up A B C director
for host in client router director A; do
	sysctls $host net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0 net.ipv4.icmp_msgs_per_sec=100000
done
# Quoted checksums must be complete.
must on client ethtool -K eth0 tx off

ours() { [ "$IPVS_MODULE" != ip_vs ]; }
modes='1 0'
ours || modes=0
short_cut() { ! ours || sysctls director net.ipv4.vs.short_cut="$1"; }
# in_family FAMILY ADDRESS, and the same in brackets where a port follows.
in_family() { if [ "$1" = 4 ]; then echo "$2"; else six "$2"; fi; }
at_port() { if [ "$1" = 4 ]; then echo "$2"; else echo "[$(six "$2")]"; fi; }
director() { must ip -n director "$@"; }

# each_way FUNCTION ROW…: calls the function in all modes and for both families, for each row
# "METHOD SERVER" with an IPv4 address. It sets mode, family, method and server; unreachable, the
# error about a host without a route; vip and at, the virtual address without brackets and with them
# where a port follows; and what, the beginning of names of checks.
each_way() {
	local function=$1 mode family unreachable vip at method server what row
	shift
	for mode in $modes; do
		short_cut "$mode"
		for family in 4 6; do
			unreachable=3/1/0
			[ $family = 4 ] || unreachable=1/3/0
			vip=$(in_family $family 10.1.0.100) at=$(at_port $family 10.1.0.100)
			for row; do
				read -r method server <<<"$row"
				server=$(in_family $family "$server")
				what="short_cut=$mode, IPv$family, -$method"
				"$function"
			done
		done
	done
}

# --- a server without a route --------------------------------------------------------------------

# The route to the server becomes "unreachable" before a connection, and during one.
no_route() {
	local tag="$mode$family$method" option
	for option in -t -u; do service "$option" "$at:80" rr -- A:"$method":1; done
	check_eq "$what: a client is served" "$(client hold "$tag" udp "$vip" 80)" A
	director -"$family" route add unreachable "$server" metric 1
	check_eq "$what: without a route to the server, the client of a datagram is told so at once" \
		"$(ask errors closed "$vip" 80 32)" \
		"timeout from $vip $unreachable me>$at:80"
	check_eq "$what: without a route to the server, opening a connection fails at once" \
		"$(client get tcp "$vip" 80)" No-route-to-host
	ask errors watch
	check_eq "$what: a known connection loses its route" "$(client again "$tag")" timeout
	check_match "$what: the client of a known connection is told so" "$(ask errors seen)" \
		"from [^ ]* $unreachable [^ ]*>${at//[\[\]]/.}:80"
	director -"$family" route del unreachable "$server" metric 1
	check_eq "$what: a client is served when there is a route again" "$(client again "$tag")" A
	client close "$tag" >/dev/null
	for option in -t -u; do must lvs -D "$option" "$at:80"; done
}
client patience 2 >/dev/null
each_way no_route 'm 10.2.0.11' 'i 10.3.0.11' 'g 10.1.0.11'

# --- a server that does not answer on the link ----------------------------------------------------

# Nobody has the server's address. The kernel gives up after three requests for its link address.
# Those who wait then must learn about it. The error of a tunnel comes back to the director first.
silent_server() {
	local option to=$server
	[ "$family" = 4 ] || to="[$server]"
	what+=', a silent server'
	for option in -t -u; do
		must lvs -A "$option" "$at:80" -s rr
		must lvs -a "$option" "$at:80" -r "$to:80" "-$method"
	done
	ask errors watch
	check_eq "$what: opening a connection fails" "$(client get tcp "$vip" 80)" No-route-to-host
	check_match "$what: the client gets an ICMP error" "$(ask errors seen)" \
		"from [^ ]* $unreachable [^ ]*>${at//[\[\]]/.}:80"
	# An error about a repeated segment is still to come.
	sleep 5
	check_match "$what: the client of a datagram gets an ICMP error" \
		"$(ask errors closed "$vip" 80 32)" \
		"timeout from [^ ]* $unreachable me>${at//[\[\]]/.}:80"
	for option in -t -u; do must lvs -D "$option" "$at:80"; done
}
client patience 10 >/dev/null
each_way silent_server 'm 10.2.0.99' 'i 10.1.0.99' 'g 10.1.0.98'
client patience 2 >/dev/null

# --- packets with a loopback source --------------------------------------------------------------

# A client on the director uses a loopback address as its source.
client_up loopback director 127.0.0.1
ask loopback patience 1 >/dev/null
must on director nft -f - <<-'END'
	table inet watch {
		chain leaving {
			type filter hook postrouting priority 300
			oifname != "lo" ip saddr 127.0.0.0/8 counter comment "martian"
			oifname != "lo" ip6 saddr ::1 counter comment "martian"
			oifname != "lo" meta l4proto { 4, 41 } counter comment "martian"
		}
	}
END
for row in 'm 10.1.0.103' 'i 10.1.0.102' 'g 10.1.0.101'; do
	read -r method vip <<<"$row"
	service -u "$vip:80" rr -- A:"$method":1
	check_eq "-$method: a loopback source gets no answer from a server elsewhere" \
		"$(ask loopback get udp "$vip" 80)" timeout
	must lvs -D -u "$vip:80"
done
check_eq 'packets with a loopback source never leave' \
	"$(on director nft list table inet watch | sed -n 's/.*counter packets \([0-9]*\).*/\1/p' | xargs)" '0 0 0'
must on director nft delete table inet watch

# --- rules on the virtual source -----------------------------------------------------------------

# A second way to the clients, by the back network: replies of one virtual address take it.
must ip -n router address add 10.2.0.254/24 dev back
must ip -n router address add fd00:0:0:2::254/64 dev back
sysctls router net.ipv4.conf.back.rp_filter=0
for family in 4 6; do
	director -$family route add default via "$(in_family $family 10.2.0.254)" table 200
	director -$family rule add from "$(in_family $family 10.1.0.101)" lookup 200
done
# The router counts packets to the client by network, A those from the client.
must on router nft -f - <<-'END'
	table inet ways {
		chain early {
			type filter hook prerouting priority raw
			ip daddr 10.0.0.1 goto networks
			ip6 daddr fd00::1 goto networks
		}
		chain networks {
			meta l4proto != { tcp, udp } return
			iifname front counter comment "front"
			iifname back counter comment "back"
		}
	}
END
must on A nft -f - <<-'END'
	table inet ways {
		chain early {
			type filter hook prerouting priority raw
			udp dport 80 iifname eth0 counter comment "front"
			udp dport 80 iifname eth1 counter comment "back"
		}
	}
END
# by HOST: the networks that packets took since the last call.
by() {
	on "$1" nft reset rules | sed -n 's/.*counter packets [1-9].* comment "\(.*\)"/\1/p' | xargs
}
# served WHAT ADDRESS SERVER: that server serves clients of the address.
served() {
	check_eq "$1: clients of $2 are served" \
		"$(client get udp "$2" 80 2) $(client get tcp "$2" 80) $(client body "$2" 80 20001)" "$3 $3 $3 $3"
}
client patience 10 >/dev/null
for mode in $modes; do
	short_cut "$mode"
	for family in 4 6; do
		for row in '10.1.0.100 front' '10.1.0.101 back'; do
			read -r vip way <<<"$row"
			for server in A director; do
				at=$(at_port $family "$vip") address=$(in_family $family "$vip")
				for option in -t -u; do
					if [ $server = A ]; then
						service $option "$at:80" rr -- A:m:1
					else
						service $option "$at:80" rr --
						must lvs -a $option "$at:80" -r "$(at_port $family 10.1.0.1):8000" -m
					fi
				done
				what="short_cut=$mode, IPv$family, server $server"
				by router >/dev/null
				served "$what" "$address" $server
				check_eq "$what: replies from $address leave by the $way network" "$(by router)" "$way"
				for option in -t -u; do must lvs -D $option "$at:80"; done
			done
		done
		at=$(at_port $family 10.1.0.101) address=$(in_family $family 10.1.0.101)
		for option in -t -u; do service $option "$at:80" rr -- A:m:1; done
		sysctls director net.ipv4.vs.snat_reroute=0
		by router >/dev/null
		served "short_cut=$mode, IPv$family, snat_reroute=0" "$address" A
		# The short cut has one route.
		way=back
		[ "$mode" = 1 ] || way=front
		check_eq "short_cut=$mode, IPv$family, snat_reroute=0: replies leave by the $way network" \
			"$(by router)" "$way"
		sysctls director net.ipv4.vs.snat_reroute=1
		for option in -t -u; do must lvs -D $option "$at:80"; done
	done
done

# --- rules on marks ------------------------------------------------------------------------------

for family in 4 6; do
	director -$family rule add fwmark 5 lookup 200
	director -$family rule add fwmark 6 lookup 201
	director -$family route add "$(in_family $family 10.2.0.11)" via "$(in_family $family 10.1.0.11)" table 201
done
must on director nft -f - <<-'END'
	table inet marks {
		chain early {
			type filter hook prerouting priority mangle
			udp sport 80 ip saddr 10.2.0.11 meta mark set 5
			udp sport 80 ip6 saddr fd00:0:0:2::11 meta mark set 5
			udp dport 80 ip daddr 10.1.0.100 meta mark set 6
			udp dport 80 ip6 daddr fd00:0:0:1::100 meta mark set 6
		}
	}
END
for mode in $modes; do
	short_cut "$mode"
	for family in 4 6; do
		at=$(at_port $family 10.1.0.100) address=$(in_family $family 10.1.0.100)
		service -u "$at:80" rr -- A:m:1
		for row in '1 back back' '0 back front' '2 front front' '3 front back'; do
			read -r marks there back <<<"$row"
			# The C director does as the default does.
			ours || [ "$marks" = 1 ] || continue
			! ours || sysctls director net.ipv4.vs.route_marks="$marks"
			what="short_cut=$mode, IPv$family, route_marks=$marks"
			by router >/dev/null
			by A >/dev/null
			check_eq "$what: a client is served" "$(client get udp "$address" 80 2)" 'A A'
			check_eq "$what: requests take the $there network, replies the $back network" \
				"$(by A) $(by router)" "$there $back"
		done
		! ours || sysctls director net.ipv4.vs.route_marks=1
		must lvs -D -u "$at:80"
	done
done
must on director nft delete table inet marks

# --- clients on the director ---------------------------------------------------------------------

# To a virtual address that is not local, and to one that is marked on its way out.
client_up inside director 10.1.0.1
must ip -n A address add 10.5.0.1/32 dev lo
must ip -n A address add fd00:0:0:5::1/128 dev lo preferred_lft 0
for mode in $modes; do
	short_cut "$mode"
	for family in 4 6; do
		what="short_cut=$mode, IPv$family, a client on the director"
		at=$(at_port $family 10.5.0.1) vip=$(in_family $family 10.5.0.1) mark=9
		marked=$(in_family $family 10.6.0.1)
		[ $family = 4 ] || mark='9 -6'
		for option in -t -u; do service $option "$at:80" rr -- A:m:1 B:m:1; done
		check_eq "$what: reaches a virtual address that is not local" \
			"$(ask inside get udp "$vip" 80 2) $(ask inside get tcp "$vip" 80 2)" 'A B A B'
		check_eq "$what: exchanges large bodies and datagrams" \
			"$(ask inside body "$vip" 80 200001) $(ask inside datagrams "$vip" 80 1472 8000 20001)" 'A A=3'
		for option in -t -u; do must lvs -D $option "$at:80"; done
		for method in i g; do
			for option in -t -u; do service $option "$at:80" rr -- A:$method:1; done
			check_eq "$what: reaches a server by -$method" \
				"$(ask inside get udp "$vip" 80 2) $(ask inside get tcp "$vip" 80 2)" 'A A A A'
			check_eq "$what: exchanges bodies and datagrams by -$method" \
				"$(ask inside body "$vip" 80 200001) $(ask inside datagrams "$vip" 80 1400)" 'A A=1'
			for option in -t -u; do must lvs -D $option "$at:80"; done
		done
		for option in -t -u; do
			service $option "$at:80" rr --
			must lvs -a $option "$at:80" -r "$(at_port $family 10.1.0.1):8000" -m
		done
		check_eq "$what: reaches a server on the director" \
			"$(ask inside get udp "$vip" 80 2) $(ask inside get tcp "$vip" 80 2)" 'director director director director'
		for option in -t -u; do must lvs -D $option "$at:80"; done
		for option in -t -u; do service $option "$at:80" rr --; done
		check_eq "$what: is refused without a server" "$(ask inside get tcp "$vip" 80)" refused
		for option in -t -u; do must lvs -D $option "$at:80"; done
		must on director nft -f - <<-'END'
			table inet marks {
				chain output {
					type route hook output priority mangle
					ip daddr 10.6.0.1 meta mark set 9
					ip6 daddr fd00:0:0:6::1 meta mark set 9
				}
			}
		END
		service -f "$mark" rr -- A:m:1
		check_eq "$what: is balanced by a mark of OUTPUT" \
			"$(ask inside get udp "$marked" 80 2) $(ask inside get tcp "$marked" 80 2)" 'A A A A'
		must on director nft delete table inet marks
		# shellcheck disable=SC2086
		must lvs -D -f $mark
	done
done
finish
