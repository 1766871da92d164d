#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Settings of a namespace's director: short_cut, with the chains that each packet meets in both modes, what a
# firewall can stop, and turning it while connections run; conn_max, what it refuses and how that is counted.
# timeout: 120

# Functions are called through check.
# shellcheck disable=SC2317
# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"

unload_all "$IPVS_MODULE"
must module_load "$IPVS_MODULE"
topology_up
client_up client
servers_start A B C

settings=/proc/sys/net/ipv4/vs

# setting NAME [NAMESPACE]: its value.
setting() { on "${2:-director}" cat "$settings/$1"; }

# set_to NAME VALUE: by one write, as sysctl does.
set_to() { on director bash -c "echo '$2' >$settings/$1"; }

# status NAME: a number from /proc/net/ip_vs_status.
status() { on director sed -n "s/^$1:\t//p" /proc/net/ip_vs_status; }

# --- values ----------------------------------------------------------------------------------------------------

hosts+=' second'
[ ! -e /run/netns/second ] || must ip netns del second
must ip netns add second
servers_up A B C
check_eq 'short_cut at first' "$(setting short_cut)" 1
for value in 2 -1 x 4294967297; do
	check_fails "short_cut=$value is refused" 'Invalid argument' set_to short_cut $value
done
check_eq 'short_cut is as it was' "$(setting short_cut)" 1
check 'short_cut=0' set_to short_cut 0
check_eq 'short_cut is off' "$(setting short_cut)" 0
check_fails 'short_cut=2 is refused when it is off' 'Invalid argument' set_to short_cut 2
check_eq 'short_cut is still off' "$(setting short_cut)" 0
check_eq 'short_cut is on elsewhere' "$(setting short_cut second)" 1
check_eq 'and in a namespace that is made now' "$(ip netns add third && setting short_cut third; ip netns del third)" 1
set_to short_cut 1

# --- chains ----------------------------------------------------------------------------------------------------

# What each packet of a flow meets, and whether its addresses are rewritten there yet. A chain in
# each hook, and one before the director's place at PREROUTING.
watch() {
	must on director nft -f - <<-'END'
		table ip watch
		delete table ip watch
		table ip watch {
			chain early {
				type filter hook prerouting priority -103
				ip saddr 10.0.0.1 ip daddr 10.1.0.0/24 udp dport 8000 counter comment "request early"
				ip saddr 10.2.0.11 ip daddr 10.0.0.1 udp sport 8000 counter comment "reply early"
			}
			chain prerouting {
				type filter hook prerouting priority filter
				ip saddr 10.0.0.1 ip daddr 10.1.0.0/24 udp dport 8000 counter comment "request prerouting"
				ip saddr 10.2.0.11 ip daddr 10.0.0.1 udp sport 8000 counter comment "reply prerouting"
			}
			chain input {
				type filter hook input priority filter
				ip saddr 10.0.0.1 ip daddr 10.1.0.0/24 udp dport 8000 counter comment "request input"
				ip saddr 10.2.0.11 udp sport 8000 counter comment "reply input"
			}
			chain forward {
				type filter hook forward priority filter
				ip saddr 10.0.0.1 udp dport 8000 counter comment "request forward"
				ip saddr 10.2.0.11 ip daddr 10.0.0.1 udp sport 8000 counter comment "reply forward"
			}
			chain output {
				type filter hook output priority filter
				ip saddr 10.0.0.1 udp dport 8000 counter comment "request output"
				ip daddr 10.3.0.11 ip protocol 4 counter comment "request output"
				ip daddr 10.0.0.1 udp sport 8000 counter comment "reply output"
			}
			chain postrouting {
				type filter hook postrouting priority filter
				ip saddr 10.0.0.1 udp dport 8000 counter comment "request postrouting"
				ip daddr 10.3.0.11 ip protocol 4 counter comment "request postrouting"
				ip saddr 10.1.0.0/24 ip daddr 10.0.0.1 udp sport 8000 counter comment "reply postrouting"
				ip saddr 10.2.0.11 udp sport 8000 counter comment "reply postrouting-unchanged"
			}
		}
	END
}

# met request|reply: the chains that had such a packet since `watch`; more than one is shown as a number.
met() {
	on director nft list table ip watch | sed -n "s/.*counter packets \([1-9][0-9]*\) .*comment \"$1 \(.*\)\"/\2*\1/p" |
		sed 's/\*1$//' | xargs
}

# The methods, an address of each, the server's, and what its request meets before it leaves.
rows=('m NAT 10.1.0.100 postrouting' 'i TUN 10.1.0.101 output postrouting' 'g DR 10.1.0.102 postrouting')
for row in "${rows[@]}"; do
	read -r method title vip _ <<<"$row"
	service -u "$vip:8000" rr -- A:"$method":1
	service -t "$vip:80" rr -- A:"$method":1 B:"$method":1
done

# chains TITLE TAG ADDRESS NEW KNOWN REPLY: what the three kinds of packets meet.
chains() {
	local title=$1 tag=$2 vip=$3
	watch
	check_eq "$title: a new flow" "$(client hold "$tag" udp "$vip" 8000)" A
	check_eq "$title: its packet meets" "$(met request)" "$4"
	check_eq "$title: its answer meets" "$(met reply)" "$6"
	watch
	check_eq "$title: again" "$(client again "$tag")" A
	check_eq "$title: a known packet meets" "$(met request)" "$5"
	check_eq "$title: a known answer meets" "$(met reply)" "$6"
}

for mode in 1 0; do
	must set_to short_cut $mode
	for row in "${rows[@]}"; do
		read -r method title vip way <<<"$row"
		# New ones always have the firewall's INPUT.
		new="early prerouting input $way"
		if [ $mode -eq 1 ]; then
			known="early $way" reply='early postrouting'
		else
			known=$new reply='early prerouting forward postrouting'
		fi
		# Only answers that are rewritten come by.
		[ "$method" = m ] || reply=
		chains "short_cut=$mode, $title" "$title$mode" "$vip" "$new" "$known" "$reply"
		check_eq "short_cut=$mode, $title: TCP" "$(client get tcp "$vip" 80 4)" 'A B A B'
		check_eq "short_cut=$mode, $title: bodies" "$(client body "$vip" 80 200001 200001)" 'A B'
		check_eq "short_cut=$mode, $title: older ones" "$(client again "${title}1")" A
	done
done
must on director nft delete table ip watch

# --- one hop, whatever the way -----------------------------------------------------------------------------------

# count_hops HOST PORT: how many packets of port 8000 come, and how many with 62 left: they start with 64, and the
# director and the router take one each.
count_hops() {
	must on "$1" nft "table ip hops { chain early { type filter hook prerouting priority raw;
		udp $2 8000 counter; udp $2 8000 ip ttl 62 counter; }; }"
}
count_hops client sport
count_hops A dport
hops() {
	on "$1" nft list table ip hops | sed -n 's/.*counter packets \([0-9]*\).*/\1/p' | xargs
}
for mode in 1 0; do
	must set_to short_cut $mode
	client again NAT1 >/dev/null
done
check_eq 'answers have the same hops both ways' "$(hops client)" '2 2'
check_eq 'requests too' "$(hops A)" '2 2'
must on client nft delete table ip hops
must on A nft delete table ip hops

# --- what a firewall can stop -----------------------------------------------------------------------------------

for row in "${rows[@]}"; do
	read -r method title vip _ <<<"$row"
	check_eq "$title: TCP connections" "$(client hold "tcp$title" tcp "$vip" 80 2)" 'A B'
done
# wall CHAIN FILTER: a firewall's rule against known connections.
wall() {
	must on director nft "table ip wall { chain wall { type filter hook $1 priority filter; $2 drop; }; }"
}
# Flows that wait not long.
client patience 0.7 >/dev/null
for row in "${rows[@]}"; do
	read -r method title vip _ <<<"$row"
	client hold "wall$title" udp "$vip" 8000 >/dev/null
	must set_to short_cut 1
	wall input 'ip saddr 10.0.0.1 udp dport 8000'
	check_eq "$title: INPUT does not stop what takes the short cut" "$(client again "wall$title")" A
	must set_to short_cut 0
	check_eq "$title: it does without" "$(client again "wall$title")" timeout
	must on director nft delete table ip wall
	check_eq "$title: until the rule is gone" "$(client again "wall$title")" A
done
client patience 10 >/dev/null
must set_to short_cut 1
wall forward 'ip saddr 10.2.0.11 udp sport 8000'
check_eq 'FORWARD does not stop answers that take the short cut' "$(client again wallNAT)" A
must set_to short_cut 0
check_eq 'it does without' "$(client again wallNAT)" timeout
must on director nft delete table ip wall
check_eq 'until the rule is gone' "$(client again wallNAT)" A

# --- turned while connections run -----------------------------------------------------------------------------------

client_up turning client 10.0.0.2
for row in "${rows[@]}"; do
	read -r method title vip _ <<<"$row"
	check_eq "$title: connections that stay" "$(ask turning hold "$title" tcp "$vip" 80 2)" 'A B'
done
keep() {
	until [ -e "$work/stop" ]; do
		ask turning exchange NAT 50001
		ask turning exchange TUN 50001
		ask turning exchange DR 50001
	done >"$work/kept"
}
keep &
keeper=$!
turns=0
more() { [ "$(wc -l <"$work/kept")" -gt "$lines" ]; }
for ((n = 0; n < 8; n++)); do
	lines=$(wc -l <"$work/kept")
	set_to short_cut $((n % 2)) && wait_for 20 more && turns=$((turns + 1))
done
touch "$work/stop"
wait $keeper
check_eq 'turned again and again' $turns 8
check_eq 'connections go on meanwhile' "$(sort -u "$work/kept")" 'A B'
for row in "${rows[@]}"; do
	read -r method title vip _ <<<"$row"
	check_eq "$title: so do those from before" \
		"$(client again "tcp$title") $(client again "${title}1") $(client again "${title}0")" 'A B A A'
done

# --- the limit ----------------------------------------------------------------------------------------------------

# Afresh, since nothing of the above is to count.
flush
must rmmod "${IPVS_MODULE}_rr" "$IPVS_MODULE"
must module_load "$IPVS_MODULE"
service -u 10.1.0.100:8000 rr -- A:m:1 B:i:1 C:g:1
service -t 10.1.0.100:80 rr -- A:m:1
most=$(setting conn_max)
check_eq 'the status at first' "$(on director cat /proc/net/ip_vs_status)" \
	"Conns:"$'\t0\n'"Conn max:"$'\t'"$most"$'\n'"Conns refused:"$'\t0\n'"Conns dropped:"$'\t0\n'"Conns apart:"$'\t0\n'"Half-open evicted:"$'\t0\n'"Conn buckets:"$'\t1024'
for value in 0 -1 x 4294967296 4294967295; do
	check_fails "conn_max=$value is refused" 'Invalid argument' set_to conn_max $value
done
check_eq 'conn_max is as it was' "$(setting conn_max)" "$most"
check "conn_max=$most can be set" set_to conn_max "$most"
check 'conn_max=5' set_to conn_max 5
check_eq 'conn_max is 5' "$(setting conn_max) $(status 'Conn max')" '5 5'
check_eq 'conn_max is as it was elsewhere' "$(setting conn_max second)" "$most"
check_eq 'five connections' "$(client hold l udp 10.1.0.100 8000 5)" 'A B C A B'
check_eq 'five are there' "$(status Conns) $(status 'Conns refused')" '5 0'
client patience 0.7 >/dev/null
check_eq 'the sixth is not answered' "$(client get udp 10.1.0.100 8000)" timeout
check_eq 'it is counted' "$(status Conns) $(status 'Conns refused')" '5 1'
check_eq 'it is in no statistics' "$(statistics -u 10.1.0.100:8000 | cut -d' ' -f1,2)" '5 5'
check_eq 'nor is it a TCP connection' "$(client get tcp 10.1.0.100 80)" timeout
check_match 'which is counted' "$(status 'Conns refused')" '[2-9]'
refused=$(status 'Conns refused')
client patience 10 >/dev/null
check_eq 'the five go on' "$(client again l)" 'A B C A B'
check_eq 'nobody was refused for it' "$(status 'Conns refused')" "$refused"
check 'conn_max=7' set_to conn_max 7
# Whoever was refused has had his turn with the scheduler, or not.
check_match 'two more' "$(client hold l udp 10.1.0.100 8000 2)" '[ABC] [ABC]'
check_eq 'seven are there' "$(status Conns)" 7
check 'conn_max=3, with seven' set_to conn_max 3
check_match 'the seven go on' "$(client again l)" 'A B C A B [ABC] [ABC]'
client patience 0.7 >/dev/null
check_eq 'there is no eighth' "$(client get udp 10.1.0.100 8000)" timeout
check_eq 'which is counted, too' "$(status Conns) $(status 'Conns refused')" "7 $((refused + 1))"
client patience 10 >/dev/null
must lvs --set 0 0 1
client again l >/dev/null
check_soon 'they go with their time' 0 status Conns
check_match 'then there are others' "$(client hold n udp 10.1.0.100 8000 3)" '[ABC] [ABC] [ABC]'
check_eq 'no more were refused' "$(status 'Conns refused')" $((refused + 1))
finish
