#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The server that answers, the order of the servers, and the way to them: every forwarding method
# with every basic scheduler, services on a port, on all ports and on a firewall mark, translated
# ports, and payloads of awkward sizes.
# timeout: 200

# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"

must module_load "$IPVS_MODULE"
topology_up
client_up client
servers_up A B C

# Connections outlive their service, and a destination that is added again regains them. So every
# service that counts connections has an address of its own.
vip_rr=10.1.0.100
vip_wrr=10.1.0.101
vip_lc=10.1.0.102
vip_wlc=10.1.0.103

# expect NAME PROTOCOL ADDRESS WANTED: opens one connection for each word in WANTED.
expect() {
	local words
	read -ra words <<<"$4"
	check_eq "$1" "$(client get "$2" "$3" 80 ${#words[@]})" "$4"
}

# held NAME PROTOCOL ADDRESS WANTED: the same, with connections that stay open.
held() {
	local words
	read -ra words <<<"$4"
	check_eq "$1" "$(client hold kept "$2" "$3" 80 ${#words[@]})" "$4"
}

sequences() {
	local method=$1 what=$2 option=$3 protocol=$4

	service "$option" $vip_rr:80 rr -- A:"$method":1 B:"$method":5 C:"$method":1
	expect "$what rr takes turns whatever the weights" "$protocol" $vip_rr 'A B C A B C A'

	service "$option" $vip_wrr:80 wrr -- A:"$method":4 B:"$method":3 C:"$method":2
	# The C director starts at the last third of the sequence.
	[ "$IPVS_MODULE" != ip_vs ] || client get "$protocol" $vip_wrr 80 3 >/dev/null
	expect "$what wrr 4:3:2" "$protocol" $vip_wrr 'A A B A B C A B C A A B A B C A B C'

	service "$option" $vip_lc:80 lc -- A:"$method":9 B:"$method":1 C:"$method":1
	held "$what lc fills evenly whatever the weights" "$protocol" $vip_lc 'A B C A B C'
	if [ "$protocol" = tcp ]; then
		client close kept B >/dev/null
		check_soon "$what lc: closed connections are inactive" 'A 2/0 B 0/2 C 2/0' \
			connections "$option" $vip_lc:80
		held "$what lc: new ones go where they were closed" "$protocol" $vip_lc 'B B A'
	else
		check_soon "$what lc: UDP connections are inactive" 'A 0/2 B 0/2 C 0/2' connections "$option" $vip_lc:80
	fi
	client close kept >/dev/null

	service "$option" $vip_wlc:80 wlc -- A:"$method":2 B:"$method":1 C:"$method":1
	held "$what wlc 2:1:1" "$protocol" $vip_wlc 'A B C A A B C A'
	client close kept >/dev/null

	flush
}

# The address at which servers are reached, and the path of the answers.
paths() {
	local method=$1 title=$2 address=$vip_rr
	[ "$method" != m ] || address=10.2.0.11
	service -u 10.1.0.100:8000 rr -- A:"$method":1
	must on director nft -f - <<-'END'
		table ip watch {
			counter answers { }
			chain early {
				type filter hook prerouting priority raw;
				ip saddr { 10.1.0.100, 10.2.0.11 } udp sport 8000 counter name answers
			}
		}
	END
	check_eq "$title reaches the server at the expected address" "$(client seen udp 10.1.0.100 8000)" "$address:8000"
	local answers
	answers=$(on director nft list counter ip watch answers | awk '$1 == "packets" { print $2 }')
	if [ "$method" = m ]; then
		check_soon "$title packets are counted both ways" '1 1 1 31 63' statistics -u 10.1.0.100:8000
		check_eq "$title answers pass the director" "$answers" 1
	else
		check_soon "$title packets are counted one way" '1 1 0 31 0' statistics -u 10.1.0.100:8000
		check_eq "$title answers bypass the director" "$answers" 0
	fi
	must on director nft delete table ip watch
	flush
}

# Payloads through one established connection and through many.
payloads() {
	local method=$1 what=$2
	service -t 10.1.0.100:8080 rr -- A:"$method":1
	check_eq "$what TCP carries bodies of odd sizes" "$(client body 10.1.0.100 8080 1 2 1459 1461 4097 65537)" 'A A A A A A'
	check_eq "$what TCP carries a megabyte each way" "$(client body 10.1.0.100 8080 1048577)" A
	service -u 10.1.0.100:8080 rr -- A:"$method":1
	check_eq "$what UDP carries datagrams of 0 to 64 octets and 1400" \
		"$(client datagrams 10.1.0.100 8080 0-64 1399-1400)" A=67
	check_eq "$what UDP carries datagrams without checksums" "$(client unchecked 10.1.0.100 8080 0-8 1399-1400)" A=11
	flush
}

for row in 'm NAT' 'i TUN' 'g DR'; do
	read -r method title <<<"$row"
	sequences "$method" "$title tcp" -t tcp
	sequences "$method" "$title udp" -u udp
	paths "$method" "$title"
	payloads "$method" "$title"
done

offloads off
for row in 'm NAT' 'i TUN' 'g DR'; do
	read -r method title <<<"$row"
	payloads "$method" "$title, offloads off:"
done
offloads on

# Different methods within one service.
service -t 10.1.0.100:8000 rr -- A:m:1 B:i:1 C:g:1
check_eq 'rr alternates between servers of all three methods' "$(client get tcp 10.1.0.100 8000 6)" 'A B C A B C'
check_eq 'with mixed methods, the NAT server is reached at its own address' "$(client seen tcp 10.1.0.100 8000)" 10.2.0.11:8000
check_eq 'with mixed methods, the TUN server is reached at the virtual address' "$(client seen tcp 10.1.0.100 8000)" 10.1.0.100:8000
check_eq 'with mixed methods, the DR server is reached at the virtual address' "$(client seen tcp 10.1.0.100 8000)" 10.1.0.100:8000
flush

# One source port of a client reaches several services at once, and the same service repeatedly.
service -t 10.1.0.100:8000 rr -- A:m:1
service -t 10.1.0.101:8000 rr -- B:m:1
service -t 10.1.0.102:8000 rr -- B:g:1
service -t 10.1.0.103:8000 rr -- B:i:1
check_eq 'one source port can reach four services' \
	"$(client share s tcp 8000 10.1.0.100 10.1.0.101 10.1.0.102 10.1.0.103)" 'A B B B'
check_eq 'four connections from one source port stay separate' "$(client again s)" 'A B B B'
check_eq 'NAT serves a source port that is reused after a reset' "$(client reuse reset 10.1.0.100 8000 3)" 'A A A'
check_eq 'DR serves a source port that is reused after a reset' "$(client reuse reset 10.1.0.102 8000 3)" 'B B B'
check_eq 'NAT serves a source port that is reused after a close' "$(client reuse close 10.1.0.100 8000 3)" 'A A A'
check_eq 'TUN serves a source port that is reused after a close' "$(client reuse close 10.1.0.103 8000 3)" 'B B B'
client close s >/dev/null
flush

# The server cannot distinguish two connections from one source port, so the newer one counts.
for addresses in "10.1.0.100 10.1.0.101" "$(six 10.1.0.100) $(six 10.1.0.101)"; do
	read -ra addresses <<<"$addresses"
	for address in "${addresses[@]}"; do
		case $address in *:*) address="[$address]" ;; esac
		service -t "$address:8000" rr -- A:m:1
	done
	check_eq "NAT serves a source port that had another service of the server (${addresses[0]})" \
		"$(client reuse reset "${addresses[0]},${addresses[1]}" 8000 4)" 'A A A A'
done
flush

# The director's firewall: packets that INPUT drops are not balanced. Open connections continue.
service -t 10.1.0.101:8080 rr -- A:m:1 B:g:1
client hold f tcp 10.1.0.101 8080 2 >/dev/null
must on director nft -f - <<-'END'
	table ip wall {
		chain in {
			type filter hook input priority filter;
			ip saddr 10.0.0.1 tcp flags syn / syn,ack tcp dport 8080 drop
		}
	}
END
client patience 0.5 >/dev/null
check_eq 'a packet that INPUT drops is not balanced' "$(client get tcp 10.1.0.101 8080)" timeout
check_eq 'a packet that INPUT drops creates no connection' "$(connections -t 10.1.0.101:8080)" 'A 1/0 B 1/0'
client patience 10 >/dev/null
client from 10.0.0.2 >/dev/null
check_eq 'a packet that INPUT accepts is balanced' "$(client get tcp 10.1.0.101 8080 2)" 'A B'
client from 10.0.0.1 >/dev/null
check_eq 'open connections continue after INPUT changes' "$(client again f)" 'A B'
must on director nft delete table ip wall
client close f >/dev/null
flush

# NAT to other ports, more than one on the same server.
service -t 10.1.0.102:8081 rr -- A:m:1:80 B:m:1:8000 A:m:1:8080
check_eq 'NAT translates to another port' "$(client seen tcp 10.1.0.102 8081)" 10.2.0.11:80
check_eq 'NAT translates to a different port on each server' "$(client seen tcp 10.1.0.102 8081)" 10.2.0.12:8000
check_eq 'NAT translates to a second port of the first server' "$(client seen tcp 10.1.0.102 8081)" 10.2.0.11:8080
check_eq 'NAT to another port carries large bodies' "$(client body 10.1.0.102 8081 100001)" A
service -u 10.1.0.102:53 rr -- C:m:1:80
check_eq 'NAT translates to another UDP port' "$(client seen udp 10.1.0.102 53)" 10.2.0.13:80
check_eq 'NAT to another UDP port carries datagrams' "$(client datagrams 10.1.0.102 53 0-8)" C=9
check_eq 'NAT to another UDP port carries datagrams without checksums' "$(client unchecked 10.1.0.102 53 0-8)" C=9
flush

# All ports. The C director requires persistence for them, which picks one server for each client.
if [ "$IPVS_MODULE" = ip_vs ]; then
	service -t 10.1.0.103:0 rr -p 10 -- A:m:1 B:m:1
	turns='A A A'
else
	service -t 10.1.0.103:0 rr -- A:m:1 B:m:1
	turns='A B A'
fi
service -t 10.1.0.103:8080 rr -- C:m:1
check_eq 'a service on all ports balances every port' "$(for port in 80 8000 80; do client get tcp 10.1.0.103 $port; done | xargs)" "$turns"
check_match 'a service on all ports keeps the port' "$(client seen tcp 10.1.0.103 8000)" '10\.2\.0\.1[12]:8000'
check_eq 'a service on one port takes precedence over one on all ports' "$(client get tcp 10.1.0.103 8080 2)" 'C C'
check_eq 'a TCP service on all ports refuses UDP' "$(client patience 1 >/dev/null; client get udp 10.1.0.103 80)" refused
client patience 10 >/dev/null
flush

# Firewall marks: one service for addresses that the director does not have, with several ports and
# protocols.
must on director nft -f - <<-'END'
	table ip marks {
		chain early {
			type filter hook prerouting priority mangle;
			ip daddr 10.4.0.1 meta l4proto { tcp, udp } th dport { 80, 8000 } meta mark set 1
		}
	}
END
for row in 'm NAT' 'i TUN' 'g DR'; do
	read -r method title <<<"$row"
	service -f 1 rr -- A:"$method":1 B:"$method":1 C:"$method":1
	check_eq "firewall mark, $title: ports and protocols share one rotation" "$(
		client get tcp 10.4.0.1 80
		client get udp 10.4.0.1 80
		client get tcp 10.4.0.1 8000
		client get udp 10.4.0.1 8000
		client get tcp 10.4.0.1 80
	)" $'A\nB\nC\nA\nB'
	address=10.4.0.1
	[ "$method" != m ] || address=10.2.0.13
	check_eq "firewall mark, $title: the port is kept" "$(client seen tcp 10.4.0.1 8000)" $address:8000
	check_eq "firewall mark, $title: large bodies arrive" "$(client body 10.4.0.1 80 100001)" A
	check_eq "firewall mark, $title: datagrams arrive" "$(client datagrams 10.4.0.1 8000 0-16)" B=17
	flush
done
finish
