#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# One-packet scheduling of UDP, for both families, by TUN and DR: every datagram for itself, and no connection
# left behind.
# timeout: 90

# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"

unload_all "$IPVS_MODULE"
must module_load "$IPVS_MODULE"
topology_up
client_up client
takes_orders pieces client fragments.py 10.0.0.1 fd00::1
servers_up A B C

# Not NAT: nothing is left by which a server's answers would be known.
for row in 'i TUN' 'g DR'; do
	read -r method title <<<"$row"
	for vip in 10.1.0.100 fd00:0:0:1::100; do
		at=$vip
		[[ $vip != *:* ]] || at="[$vip]"
		what="$title, $vip"
		service -u "$at:80" rr --ops -- A:"$method":1 B:"$method":1 C:"$method":1
		service -u "$at:8000" rr --ops -- A:"$method":1
		check_eq "$what: the service says so" "$(configuration | grep -Ec -- '-s rr (-o|--ops)$')" 2
		# A kept socket would take another server's answer for wrong: each datagram has a socket, but they
		# share a port.
		check_eq "$what: one port, a server for each datagram" "$(client turns $vip 80 7)" 'A B C A B C A'
		check_eq "$what: nobody is counted as connected" "$(connections -u "$at:80")" 'A 0/0 B 0/0 C 0/0'
		check_soon "$what: every datagram is counted" '7 3 2 2' scheduled -u "$at:80"
		check_eq "$what: datagrams of 0 to 32 octets and 1300" "$(client datagrams $vip 8000 0-32 1300)" 'A=34'
		check_eq "$what: fragments" "$(ask pieces send $vip 80 3000 1200 forward backward shuffled)" 'B C A'
		flush
	done
done

# One-packet and ordinary services beside each other, for the same client and port.
service -u 10.1.0.101:80 rr --ops -- A:g:1 B:g:1
service -u 10.1.0.102:80 rr -- A:g:1 B:g:1
check_eq 'one-packet' "$(client turns 10.1.0.101 80 4)" 'A B A B'
check_eq 'ordinary' "$(client turns 10.1.0.102 80 4)" 'A A A A'
check_eq 'a server that is quiesced' "$(destination -e -u 10.1.0.101:80 A:g:0; client turns 10.1.0.101 80 3)" 'B B B'
check_eq 'turned off' "$(lvs -E -u 10.1.0.101:80 -s rr; client turns 10.1.0.101 80 3)" 'B B B'
check_match 'it leaves a connection then' "$(connections -u 10.1.0.101:80)" 'A 0/0 B 0/1'
check_fails 'not for TCP' 'ops|udp|one-packet' lvs -A -t 10.1.0.101:80 -s rr --ops
finish
