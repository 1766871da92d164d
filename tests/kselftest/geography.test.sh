#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Servers near the client, in two ways. First, nftables gives the first packet of a connection a
# firewall mark by the client's prefix, and each region has a service on its mark. Far servers have
# smaller weights and take over when the near ones are full or gone. Second, the scheduler geo looks
# up client and servers in a table of regions.
# timeout: 300
# check: debug, because choices do not depend on the kernel
#
# Functions are called through wait_for.
# shellcheck disable=SC2317

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

# --- the scheduler geo ----------------------------------------------------------------------------

# The C director has no such scheduler.
[ "$IPVS_MODULE" = ipvs_rs ] || finish

vip=10.1.0.101 vip6=$(six 10.1.0.101)
# regions WEST EAST: the table, with clients 2 and 3 in WEST, and client 4 in EAST.
regions() {
	cat <<-END
		region west middle east     # the order of its clients
		region middle
		region east middle west
		10.0.0.2/31,$1
		10.0.0.4 $2
		fd00::2/127,$1
		fd00::4,$2
		# A is in the west, B in the middle, C in the east.
		10.3.0.0/24,middle
		10.3.0.11,west
		10.3.0.13,east
		fd00:0:0:3::/64,middle
		fd00:0:0:3::11,west
		fd00:0:0:3::13,east
	END
}
for address in $vip "[$vip6]"; do
	service -t "$address:80" geo -- A:i:1 B:i:1 C:i:1
	service -u "$address:80" geo -- A:i:1 B:i:1 C:i:1
done
check_eq 'there is no table at first' "$(lvs geo show)" ''
check_eq 'without a table, geo is wlc' "$(by 2 hold first tcp $vip 80 6)" 'A B C A B C'
client close first >/dev/null

regions west east >"$work/regions"
summary='3 regions, 10 IPv4 ranges, 10 IPv6 ranges, 304 octets'
check_eq 'a file is checked' "$(lvs geo check "$work/regions")" "$summary"
check_eq 'that loads nothing' "$(lvs geo show)" ''
check_eq 'it is loaded' "$(lvs geo load "$work/regions")" "$summary"
check_eq 'lvsadm geo show prints the loaded table' "$(lvs geo show | lvs geo check -)" "$summary"
check_eq 'the region of an address is shown' "$(lvs geo where 10.0.0.3 10.3.0.12 fd00::1)" \
	'10.0.0.3 is in west, then middle, then east
10.3.0.12 is in middle
fd00::1 is in no region'
check_eq 'the table is that of its namespace' "$(DIRECTOR=A lvs geo show)" ''

check_eq 'geo: clients reach the server of their region' "$(by 2 get tcp $vip 80 2) $(by 3 get tcp $vip 80) $(by 4 get tcp $vip 80 2)" 'A A A C C'
check_eq 'so do datagrams' "$(by 2 get udp $vip 80 2) $(by 4 get udp $vip 80 2)" 'A A C C'
client from fd00::3 >/dev/null
near=$(client get tcp "$vip6" 80 2)
client from fd00::4 >/dev/null
check_eq 'over IPv6, too' "$near $(client get tcp "$vip6" 80 2) $(client get udp "$vip6" 80 2)" 'A A C C C C'
check_eq 'clients of no region reach all servers' \
	"$(by 1 hold all tcp $vip 80 3 | tr ' ' '\n' | sort | xargs)" 'A B C'
client close all >/dev/null

# Closed connections count for thresholds, too.
must lvs connections --kill -t $vip:80
must lvs -e -t $vip:80 -r 10.3.0.11:80 -i -w 1 -x 2
check_eq 'a full region spills over into the next one' "$(by 2 hold full tcp $vip 80 4)" 'A A B B'
must lvs -e -t $vip:80 -r 10.3.0.12:80 -i -w 0
check_eq 'a full and a quiesced one into the one after that' "$(by 2 hold more tcp $vip 80 2)" 'C C'
check_eq 'connections stay where they are' "$(by 2 again full)" 'A A B B'
client close full >/dev/null
client close more >/dev/null
must lvs -e -t $vip:80 -r 10.3.0.11:80 -i -w 1
must lvs -e -t $vip:80 -r 10.3.0.12:80 -i -w 1
must lvs -d -t $vip:80 -r 10.3.0.11:80
check_eq 'so does a region whose server was deleted' "$(by 2 get tcp $vip 80 2)" 'B B'
must lvs -a -t $vip:80 -r 10.3.0.11:80 -i -w 1
check_eq 'the server gets its clients when it returns' "$(by 2 get tcp $vip 80 2)" 'A A'

# Mistakes: the table stays.
for row in '10.0.0.0/33,west:line 15: "10.0.0.0/33" is not a prefix' '10.0.0.1/8,west:line 15: 10.0.0.1/8 has bits' \
	'10.0.0.0/8,north:line 15: there is no line "region north"' '10.0.0.4,west:line 15: 10.0.0.4/32 is also in line 5'; do
	{
		regions east west
		echo "${row%%:*}"
	} >"$work/mistake"
	check_fails "a file with \"${row%%:*}\" is refused" "${row#*:}" lvs geo load "$work/mistake"
done
cat >"$work/octets.py" <<-'END'
	import sys
	from nl import Family, attribute
	family = Family(name=b"ipvs_rs")
	good = b"".join(body[8:] for body in family.call(15, flags=0x300))
	for size in list(range(4, len(good), 7)) + [len(good)]:
	    wrong = good[:-1] + b"\xff" if size == len(good) else good[:size]
	    if family.error(14, attribute(13, wrong)) != "EINVAL" or not family.sentence:
	        sys.exit(f"{size} octets: {family.sentence}")
END
check 'the kernel refuses octets that are no table' on director env PYTHONPATH="$here" python3 "$work/octets.py"
check_eq 'the table stays' "$(lvs geo show | lvs geo check -) $(by 2 get tcp $vip 80) $(by 4 get tcp $vip 80)" "$summary A C"

# Tables change under load: 11 times, with another region for each client, and then a large one.
client_up loader client 10.0.0.3
ask loader hold kept tcp $vip 80 >/dev/null
ask loader load busy tcp $vip 80 >/dev/null
busy() { [ "$(ask loader progress busy)" -gt 20 ]; }
check 'clients connect all the time' wait_for 20 busy
regions east west >"$work/swapped"
swap() {
	local n
	for n in 1 2 3 4 5; do
		lvs geo load "$work/swapped" >/dev/null && lvs geo load "$work/regions" >/dev/null || return
	done
	lvs geo load "$work/swapped" >/dev/null
}
check 'the table is replaced many times' swap
check_eq 'clients reach their new regions' "$(by 2 get tcp $vip 80) $(by 4 get tcp $vip 80)" 'C A'
{
	regions west east
	awk 'BEGIN { for (n = 0; n < 50000; n++) printf "100.%d.%d.0/25,%s\n2001:%x::/48,%s\n", n / 256, n % 256, n % 2 ? "east" : "west", n, n % 3 ? "east" : "west" }'
} >"$work/large"
check_eq 'a table of 100,000 prefixes is loaded' "$(lvs geo load "$work/large")" '3 regions, 100010 IPv4 ranges, 100010 IPv6 ranges, 2200304 octets'
check_eq 'all of it comes back' "$(lvs geo show | lvs geo check -)" "$(lvs geo check "$work/large")"
check_eq 'addresses are found in it' "$(lvs geo where 100.195.79.127 100.195.79.128 2001:c34f:0:1::)" \
	'100.195.79.127 is in east, then middle, then west
100.195.79.128 is in no region
2001:c34f:0:1:: is in east, then middle, then west'
check_eq 'clients are near their servers again' "$(by 2 get tcp $vip 80) $(by 4 get tcp $vip 80)" 'A C'
check_match 'no connection was lost meanwhile, and none went elsewhere' "$(ask loader stop busy)" 'A=[0-9]+ C=[0-9]+'
check_eq 'a connection stays where it is' "$(ask loader again kept)" A
ask loader close kept >/dev/null

must lvs connections --kill -t $vip:80
must lvs geo clear
# A was added last.
check_eq 'without the table, geo is wlc again' "$(by 2 hold last tcp $vip 80 3)" 'B C A'
client close last >/dev/null
flush

finish
