#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# One-packet scheduling of UDP, for both families, with TUN and DR: every datagram is scheduled on
# its own and leaves no connection.
# timeout: 90
# check: debug, because choices do not depend on the kernel

# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"

unload_all "$IPVS_MODULE"
must module_load "$IPVS_MODULE"
topology_up
client_up client
takes_orders pieces client fragments.py 10.0.0.1 fd00::1
servers_up A B C

# NAT is left out: without a connection, the director would not recognize a server's answer.
for row in 'i TUN' 'g DR'; do
	read -r method title <<<"$row"
	for vip in 10.1.0.100 fd00:0:0:1::100; do
		at=$vip
		[[ $vip != *:* ]] || at="[$vip]"
		what="$title, $vip"
		service -u "$at:80" rr --ops -- A:"$method":1 B:"$method":1 C:"$method":1
		service -u "$at:8000" rr --ops -- A:"$method":1
		check_eq "$what: the rules show the flag" "$(configuration | grep -Ec -- '-s rr (-o|--ops)$')" 2
		# A connected client would treat another server's answer as wrong. So each datagram
		# has a socket of its own, and all share a port.
		check_eq "$what: datagrams from one port go to the servers in turn" "$(client turns $vip 80 7)" 'A B C A B C A'
		check_eq "$what: no connection is counted" "$(connections -u "$at:80")" 'A 0/0 B 0/0 C 0/0'
		check_soon "$what: every datagram is counted" '7 3 2 2' scheduled -u "$at:80"
		check_eq "$what: datagrams of 0 to 32 octets and 1300 arrive" "$(client datagrams $vip 8000 0-32 1300)" 'A=34'
		check_eq "$what: fragmented datagrams arrive" "$(ask pieces send $vip 80 3000 1200 forward backward shuffled)" 'B C A'
		flush
	done
done

# One-packet and ordinary services for the same client and port.
service -u 10.1.0.101:80 rr --ops -- A:g:1 B:g:1
service -u 10.1.0.102:80 rr -- A:g:1 B:g:1
check_eq 'a one-packet service schedules each datagram' "$(client turns 10.1.0.101 80 4)" 'A B A B'
check_eq 'an ordinary service keeps the server' "$(client turns 10.1.0.102 80 4)" 'A A A A'
check_eq 'a quiesced server gets no datagrams' "$(destination -e -u 10.1.0.101:80 A:g:0; client turns 10.1.0.101 80 3)" 'B B B'
check_eq 'a service without the flag keeps the server' "$(lvs -E -u 10.1.0.101:80 -s rr; client turns 10.1.0.101 80 3)" 'B B B'
check_match 'a service without the flag leaves a connection' "$(connections -u 10.1.0.101:80)" 'A 0/0 B 0/1'
check_fails 'one-packet scheduling is refused for TCP' 'ops|udp|one-packet' lvs -A -t 10.1.0.101:80 -s rr --ops
finish
