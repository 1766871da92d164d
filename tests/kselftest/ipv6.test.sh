#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# IPv6 services: every forwarding method with rr and wlc, on a port, on all ports and on a firewall
# mark; listings, counters, weights, edits; payloads of awkward sizes, with and without offloads;
# extension headers.
# timeout: 150
# check: debug, because fast_path.test.sh has flows over IPv6 on the stock kernel

# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"

unload_all "$IPVS_MODULE"
must module_load "$IPVS_MODULE"
topology_up
client_up client
client_up other client 10.0.0.2
servers_start A B C

# The virtual addresses, with and without a port.
vip=fd00:0:0:1::100
wlc=fd00:0:0:1::101
all=fd00:0:0:1::102
edited=fd00:0:0:1::103
mark=fd00:0:0:4::1

# Connections start in INPUT and continue in PREROUTING. The C director has no short cut.
short_cut() {
	[ "$IPVS_MODULE" = ip_vs ] || sysctls director net.ipv4.vs.short_cut="$1"
}

methods=('m NAT' 'i TUN' 'g DR')
servers_up A B C

check_eq 'the virtual address answers a ping' \
	"$(on client ping -n -c 1 -W $((5 * TIME_SCALE)) $vip | sed -n 's/.* bytes from \([^ ]*\):.*/\1/p')" $vip

for row in "${methods[@]}"; do
	read -r method title <<<"$row"
	network=1
	[ "$method" != m ] || network=2
	reached=$vip
	[ "$method" != m ] || reached=fd00:0:0:2::11
	for protocol in tcp udp; do
		option=-${protocol:0:1}
		service "$option" "[$vip]:80" rr -- A:"$method":1 B:"$method":5 C:"$method":1
		check_eq "$title $protocol: rr takes the servers in turn" "$(client get "$protocol" $vip 80 7)" 'A B C A B C A'

		service "$option" "[$wlc]:80" wlc -- A:"$method":2 B:"$method":1 C:"$method":1
		check_eq "$title $protocol: wlc with weights 2:1:1 keeps the shares" "$(client hold kept "$protocol" $wlc 80 8)" 'A B C A A B C A'
		wanted='A 4/0 B 2/0 C 2/0'
		[ "$protocol" = tcp ] || wanted='A 0/4 B 0/2 C 0/2'
		check_eq "$title $protocol: connections are listed" "$(connections "$option" "[$wlc]:80")" "$wanted"
		check_eq "$title $protocol: connections continue" "$(client again kept)" 'A B C A A B C A'
		for mode in 0 1; do
			short_cut $mode
			check_eq "$title $protocol: connections continue with $mode" "$(client again kept)" 'A B C A A B C A'
		done
		client close kept >/dev/null

		service "$option" "[$vip]:8000" rr -- A:"$method":1
		check_eq "$title $protocol: the server is reached at the expected address" "$(client seen "$protocol" $vip 8000)" "[$reached]:8000"
	done
	wanted='1 1 0 51 0'
	[ "$method" != m ] || wanted='1 1 1 51 '$((40 + 8 + $(printf 'A [fd00::1]:10000 [fd00:0:0:2::11]:8000\nwho' | wc -c)))
	check_soon "$title: packets and bytes are counted" "$wanted" statistics -u "[$vip]:8000"
	for option in -t -u; do
		check_soon "$title $option: every connection is counted" '7 3 2 2' scheduled $option "[$vip]:80"
	done
	for way in on off; do
		offloads $way
		service -t "[$vip]:8080" rr -- A:"$method":1
		service -u "[$vip]:8080" rr -- A:"$method":1
		what="$title, offloads $way"
		check_eq "$what: TCP carries bodies of odd sizes" "$(client body $vip 8080 1 2 1439 1441 4097 65537)" 'A A A A A A'
		check_eq "$what: TCP carries a megabyte each way" "$(client body $vip 8080 1048577)" A
		check_eq "$what: UDP carries datagrams of 0 to 64 octets and 1300" \
			"$(client datagrams $vip 8080 0-64 1299-1300)" A=67
		must lvs -D -t "[$vip]:8080"
		must lvs -D -u "[$vip]:8080"
	done
	offloads on
	flush
done

# --- all ports and firewall marks -----------------------------------------------------------------

# The C director requires persistence for all ports, which picks one server for each client.
if [ "$IPVS_MODULE" = ip_vs ]; then
	service -t "[$all]:0" rr -p 10 -- A:m:1 B:m:1
	turns='A A A'
else
	service -t "[$all]:0" rr -- A:m:1 B:m:1
	turns='A B A'
fi
service -t "[$all]:8080" rr -- C:m:1
check_eq 'a service on all ports balances every port' "$(for port in 80 8000 80; do client get tcp $all $port; done | xargs)" "$turns"
check_match 'a service on all ports keeps the port' "$(client seen tcp $all 8000)" '\[fd00:0:0:2::1[12]\]:8000'
check_eq 'a service on one port takes precedence over one on all ports' "$(client get tcp $all 8080 2)" 'C C'
check_eq 'a TCP service on all ports refuses UDP' "$(client get udp $all 80)" refused
flush

must on director nft -f - <<-'END'
	table ip6 marks {
		chain early {
			type filter hook prerouting priority mangle;
			ip6 daddr fd00:0:0:4::1 meta l4proto { tcp, udp } th dport { 80, 8000 } meta mark set 1
		}
	}
END
# The same mark with IPv4 is a separate service.
service -f 1 rr -- C:g:1
for row in "${methods[@]}"; do
	read -r method title <<<"$row"
	service -f '1 -6' rr -- A:"$method":1 B:"$method":1 C:"$method":1
	check_eq "firewall mark, $title: ports and protocols share one rotation" "$(
		client get tcp $mark 80
		client get udp $mark 80
		client get tcp $mark 8000
		client get udp $mark 8000
		client get tcp $mark 80
	)" $'A\nB\nC\nA\nB'
	reached=$mark
	[ "$method" != m ] || reached=fd00:0:0:2::13
	check_eq "firewall mark, $title: the port is kept" "$(client seen tcp $mark 8000)" "[$reached]:8000"
	check_eq "firewall mark, $title: large bodies arrive" "$(client body $mark 80 100001)" A
	check_eq "firewall mark, $title: datagrams arrive" "$(client datagrams $mark 8000 0-16)" B=17
	check_eq "firewall mark, $title: the listing shows the destinations" "$(connections -f '1 -6' | sed 's,/[0-9]*,,g')" 'A 0 B 0 C 0'
	must lvs -D -f 1 -6
done
check_eq 'the IPv4 service with the same mark is unchanged' "$(configuration)" "$(printf '%s\n' '-A -f 1 -s rr' '-a -f 1 -r 10.1.0.13:0 -g -w 1')"
flush

# --- listing, editing -----------------------------------------------------------------------------

service -t "[$edited]:80" wlc -- A:m:3:8000 B:i:2 C:g:1
check_eq '-S prints IPv6 services' "$(configuration | sort)" "$(printf '%s\n' \
	"-A -t [$edited]:80 -s wlc" \
	"-a -t [$edited]:80 -r [fd00:0:0:2::11]:8000 -m -w 3" \
	"-a -t [$edited]:80 -r [fd00:0:0:3::12]:80 -i -w 2" \
	"-a -t [$edited]:80 -r [fd00:0:0:1::13]:80 -g -w 1" | sort)"
check_eq '-L prints IPv6 services' "$(lvs -L -n | tail -n +4 | tr -s ' ' | sed 's/ $//' | sort)" "$(printf '%s\n' \
	"TCP [$edited]:80 wlc" \
	" -> [fd00:0:0:2::11]:8000 Masq 3 0 0" \
	" -> [fd00:0:0:3::12]:80 Tunnel 2 0 0" \
	" -> [fd00:0:0:1::13]:80 Route 1 0 0" | sort)"
check_eq 'NAT translates to another port' "$(client seen tcp $edited 80)" '[fd00:0:0:2::11]:8000'
client hold e tcp $edited 80 3 >/dev/null
must destination -e -t "[$edited]:80" A:m:0:8000
must destination -e -t "[$edited]:80" B:i:0
check_eq 'a quiesced server gets no new connections' "$(client get tcp $edited 80 3)" 'C C C'
check_match 'connections to a quiesced server continue' "$(client again e)" '.*A.*'
check_eq '/proc/net/ip_vs shows IPv6 destinations' "$(on director grep -c '\[fd00:0000:0000:000[123]:0000:0000:0000:' /proc/net/ip_vs)" 4
must destination -d -t "[$edited]:80" C:g
check_eq 'a service without destinations refuses TCP' "$(client get tcp $edited 80)" refused
check_eq 'a service without destinations refuses UDP' "$(service -u "[$edited]:80" rr --; client get udp $edited 80)" refused
must lvs -D -u "[$edited]:80"
must destination -a -t "[$edited]:80" C:g:1
check_eq 'a destination that is added again is used' "$(client get tcp $edited 80)" C
client close e >/dev/null
flush
check_fails 'a NAT server of the other family is refused' 'invalid|not supported|differ|famil|only a tunnel' \
	bash -c "on director $LVSADM -A -t [$edited]:81 -s rr &&
		on director $LVSADM -a -t [$edited]:81 -r 10.2.0.11 -m"
flush

# --- persistence with prefixes --------------------------------------------------------------------

service -t "[$vip]:80" rr -p 60 -M 64 -- A:m:1 B:m:1
check_eq 'persistence with a prefix of 64 sends both clients to one server' "$(client get tcp $vip 80) $(ask other get tcp $vip 80)" 'A A'
must lvs -D -t "[$vip]:80"
service -t "[$vip]:8000" rr -p 60 -- A:m:1 B:m:1
check_eq 'persistence without a prefix gives each client a server of its own' "$(client get tcp $vip 8000 2) $(ask other get tcp $vip 8000 2)" 'A A B B'
finish
