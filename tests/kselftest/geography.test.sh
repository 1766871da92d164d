#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Servers near the client: nftables gives the first packet of a connection a firewall mark by the
# client's prefix, and each region has a service on its mark. Far servers have smaller weights and
# take over when the near ones are full or gone.
# timeout: 300

# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"

must module_load "$IPVS_MODULE"
topology_up
client_up client
servers_up A B C

vip=10.1.0.100
must on director nft -f - <<-END
	table ip geography {
		map region {
			type ipv4_addr : mark
			flags interval
			elements = { 10.0.0.2/31 : 1, 10.0.0.4 : 2 }
		}
		chain first {
			type filter hook prerouting priority mangle
			ip daddr $vip tcp flags & (syn | ack) == syn meta mark set ip saddr map @region
			ip daddr $vip meta l4proto udp meta mark set ip saddr map @region
		}
	}
END
# The first region has A, and B far away; the second has C, and A far away.
service -f 1 ovf -- A:i:3 B:i:2
service -f 2 ovf -- C:i:3 A:i:2
# Clients of no region.
service -t $vip:80 rr -- B:g:1

# by CLIENT ORDER…: an order of the client with this address.
by() {
	client from "10.0.0.$1" >/dev/null
	shift
	client "$@"
}

check_eq 'clients of the first region reach its server' "$(by 2 get tcp $vip 80 2) $(by 3 get tcp $vip 80 2)" 'A A A A'
check_eq 'clients of the second region reach theirs' "$(by 4 get tcp $vip 80 2)" 'C C'
check_eq 'so do datagrams' "$(by 2 get udp $vip 80 2) $(by 4 get udp $vip 80 2)" 'A A C C'
check_eq 'clients of no region reach the service without a mark' "$(by 1 get tcp $vip 80 2)" 'B B'

check_eq 'when the near server is full, the far one takes over' "$(by 2 hold full tcp $vip 80 6)" 'A A A A B B'
check_eq 'connections continue without a mark' "$(by 2 again full)" 'A A A A B B'
client close full >/dev/null
must lvs -e -f 1 -r 10.3.0.11 -i -w 0
check_eq 'when the near server is quiesced, the far one takes over' "$(by 2 get tcp $vip 80 2)" 'B B'
must lvs -e -f 1 -r 10.3.0.11 -i -w 3

# The table of prefixes changes as a whole, while connections are open.
by 4 hold kept tcp $vip 80 >/dev/null
must on director nft -f - <<-'END'
	flush map ip geography region
	add element ip geography region { 10.0.0.2/31 : 2, 10.0.0.4 : 1 }
END
check_eq 'after a change of the prefixes, clients reach the other region' "$(by 2 get tcp $vip 80) $(by 4 get tcp $vip 80)" 'C A'
check_eq 'connections stay in their region' "$(by 4 again kept)" C
check_fails 'a table of prefixes with a mistake is refused' 'Error' \
	on director nft 'flush map ip geography region; add element ip geography region { 10.0.0.300 : 1 }'
check_eq 'the old table stays' "$(by 2 get tcp $vip 80) $(by 4 get tcp $vip 80)" 'C A'
must on director nft delete table ip geography
flush

finish
