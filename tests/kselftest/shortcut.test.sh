#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Two settings of a namespace's director. short_cut: the chains that each packet passes with and
# without it, the packets that a firewall can stop, and switching it under traffic. conn_max: the
# connections that it refuses, and their count.
# timeout: 120
# check: debug, because choices do not depend on the kernel

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

# setting NAME [NAMESPACE]: prints its value.
setting() { on "${2:-director}" cat "$settings/$1"; }

# set_to NAME VALUE: sets it with one write, as sysctl does.
set_to() { on director bash -c "echo '$2' >$settings/$1"; }

# status NAME: prints a number from /proc/net/ip_vs_status.
status() { on director sed -n "s/^$1:\t//p" /proc/net/ip_vs_status; }

# --- values ---------------------------------------------------------------------------------------

hosts+=' second'
[ ! -e /run/netns/second ] || must ip netns del second
must ip netns add second
servers_up A B C
check_eq 'short_cut is 1 by default' "$(setting short_cut)" 1
for value in x 4294967297; do
	check_fails "short_cut=$value is refused" 'Invalid argument' set_to short_cut $value
done
check_eq 'refused values leave short_cut unchanged' "$(setting short_cut)" 1
check 'short_cut=0 is accepted' set_to short_cut 0
check_eq 'short_cut is 0 after it was set' "$(setting short_cut)" 0
check_fails 'short_cut=x is refused while it is 0' 'Invalid argument' set_to short_cut x
check_eq 'a refused value leaves short_cut=0 unchanged' "$(setting short_cut)" 0
check_eq 'short_cut stays 1 in another namespace' "$(setting short_cut second)" 1
check_eq 'short_cut is 1 in a new namespace' "$(ip netns add third && setting short_cut third; ip netns del third)" 1
set_to short_cut 1

# --- chains ---------------------------------------------------------------------------------------

# Counts the packets of a flow in one chain of each hook, and in one before the director's place in
# PREROUTING. The rules tell whether the addresses are rewritten there.
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

# met request|reply: prints the chains that such a packet passed since `watch`. A chain with more
# than one packet is shown with the number.
met() {
	on director nft list table ip watch | sed -n "s/.*counter packets \([1-9][0-9]*\) .*comment \"$1 \(.*\)\"/\2*\1/p" |
		sed 's/\*1$//' | xargs
}

# The methods, an address for each, and the last chains of a request.
rows=('m NAT 10.1.0.100 postrouting' 'i TUN 10.1.0.101 output postrouting' 'g DR 10.1.0.102 postrouting')
for row in "${rows[@]}"; do
	read -r method title vip _ <<<"$row"
	service -u "$vip:8000" rr -- A:"$method":1
	service -t "$vip:80" rr -- A:"$method":1 B:"$method":1
done

# chains TITLE TAG ADDRESS NEW KNOWN REPLY: checks the chains of the three kinds of packets.
chains() {
	local title=$1 tag=$2 vip=$3
	watch
	check_eq "$title: a new flow is served" "$(client hold "$tag" udp "$vip" 8000)" A
	check_eq "$title: the first packet passes the expected chains" "$(met request)" "$4"
	check_eq "$title: the first answer passes the expected chains" "$(met reply)" "$6"
	watch
	check_eq "$title: a known flow is served" "$(client again "$tag")" A
	check_eq "$title: a packet of a known flow passes the expected chains" "$(met request)" "$5"
	check_eq "$title: an answer of a known flow passes the expected chains" "$(met reply)" "$6"
}

for mode in 1 0; do
	must set_to short_cut $mode
	for row in "${rows[@]}"; do
		read -r method title vip way <<<"$row"
		# The first packet always passes INPUT.
		new="early prerouting input $way"
		if [ $mode -eq 1 ]; then
			known="early $way" reply='early postrouting'
		else
			# The answer is rewritten behind this chain, at priority 98.
			known=$new reply='early prerouting forward postrouting-unchanged'
		fi
		# Only NAT answers pass the director.
		[ "$method" = m ] || reply=
		chains "short_cut=$mode, $title" "$title$mode" "$vip" "$new" "$known" "$reply"
		check_eq "short_cut=$mode, $title: rr takes the servers in turn" "$(client get tcp "$vip" 80 4)" 'A B A B'
		check_eq "short_cut=$mode, $title: large bodies arrive" "$(client body "$vip" 80 200001 200001)" 'A B'
		check_eq "short_cut=$mode, $title: older flows continue" "$(client again "${title}1")" A
	done
done
must on director nft delete table ip watch

# --- one hop in both modes ------------------------------------------------------------------------

# count_hops HOST PORT: counts the packets of port 8000, and those with a TTL of 62. They start with
# 64, and the director and the router take one each.
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
check_eq 'an answer takes one hop on the director in both modes' "$(hops client)" '2 2'
check_eq 'a request takes one hop on the director in both modes' "$(hops A)" '2 2'
must on client nft delete table ip hops
must on A nft delete table ip hops

# --- packets that a firewall can stop -------------------------------------------------------------

for row in "${rows[@]}"; do
	read -r method title vip _ <<<"$row"
	check_eq "$title: TCP connections are served" "$(client hold "tcp$title" tcp "$vip" 80 2)" 'A B'
done
# wall CHAIN FILTER: adds a rule that drops packets of known connections.
wall() {
	must on director nft "table ip wall { chain wall { type filter hook $1 priority filter; $2 drop; }; }"
}
# Flows with a short timeout.
client patience 0.7 >/dev/null
for row in "${rows[@]}"; do
	read -r method title vip _ <<<"$row"
	client hold "wall$title" udp "$vip" 8000 >/dev/null
	must set_to short_cut 1
	wall input 'ip saddr 10.0.0.1 udp dport 8000'
	check_eq "$title: a rule in INPUT does not stop a known flow on the short cut" "$(client again "wall$title")" A
	must set_to short_cut 0
	check_eq "$title: a rule in INPUT stops a known flow without the short cut" "$(client again "wall$title")" timeout
	must on director nft delete table ip wall
	check_eq "$title: the flow continues once the rule in INPUT is removed" "$(client again "wall$title")" A
done
client patience 10 >/dev/null
must set_to short_cut 1
wall forward 'ip saddr 10.2.0.11 udp sport 8000'
check_eq 'a rule in FORWARD does not stop answers on the short cut' "$(client again wallNAT)" A
must set_to short_cut 0
check_eq 'a rule in FORWARD stops answers without the short cut' "$(client again wallNAT)" timeout
must on director nft delete table ip wall
check_eq 'answers continue once the rule in FORWARD is removed' "$(client again wallNAT)" A

# --- switched under traffic -----------------------------------------------------------------------

client_up turning client 10.0.0.2
for row in "${rows[@]}"; do
	read -r method title vip _ <<<"$row"
	check_eq "$title: connections open before the switching" "$(ask turning hold "$title" tcp "$vip" 80 2)" 'A B'
done
turn() { set_to short_cut $(($1 % 2)); }
under_traffic 8 turn NAT TUN DR
check_eq 'short_cut can be switched under traffic' $turns 8
check_eq 'connections continue while short_cut is switched' "$(sort -u "$work/kept")" 'A B'
for row in "${rows[@]}"; do
	read -r method title vip _ <<<"$row"
	check_eq "$title: older connections continue after the switching" \
		"$(client again "tcp$title") $(client again "${title}1") $(client again "${title}0")" 'A B A A'
done

# --- conn_max -------------------------------------------------------------------------------------

# The module is loaded again, so that all counts start at 0.
flush
must rmmod "${IPVS_MODULE}_rr" "$IPVS_MODULE"
must module_load "$IPVS_MODULE"
service -u 10.1.0.100:8000 rr -- A:m:1 B:i:1 C:g:1
service -t 10.1.0.100:80 rr -- A:m:1
most=$(setting conn_max)
# shellcheck disable=SC2016
check_eq 'ip_vs_status of a new module has its defaults' "$(on director cat /proc/net/ip_vs_status | tr '\t' ' ')" \
	"Conns: 0
Conn buckets: 1024 (10 bits, lfactor -2)
Services: 2
Service buckets: 64 (6 bits, lfactor -2)
Service buckets empty: $(on director awk '/^Service buckets empty/ { print $4, $5 }' /proc/net/ip_vs_status)
Service buckets len-$(on director sed -n 's/^Service buckets len-//p' /proc/net/ip_vs_status | tr '\t' ' ')
Stats thread slots: 0 (max 0)
Stats chain max len: 0
Stats thread ests: 0
Conn max: $most
Conns refused: 0
Conns dropped: 0
Conns apart: 0
Half-open evicted: 0
Fast path devices: 0
Fast path packets: 0"
# shellcheck disable=SC2016
check_match 'the services are in one bucket or in two' "$(on director awk '/^Service buckets [el]/ { print $3, $4 }' /proc/net/ip_vs_status | xargs)" \
	'empty: 62 len-1: 2|empty: 63 len-2: 1'
for value in 0 -1 x 4294967296 4294967295; do
	check_fails "conn_max=$value is refused" 'Invalid argument' set_to conn_max $value
done
check_eq 'refused values leave conn_max unchanged' "$(setting conn_max)" "$most"
check "conn_max=$most can be set" set_to conn_max "$most"
check 'conn_max=5 is accepted' set_to conn_max 5
check_eq 'conn_max is 5 after it was set' "$(setting conn_max) $(status 'Conn max')" '5 5'
check_eq 'conn_max is unchanged in another namespace' "$(setting conn_max second)" "$most"
check_eq 'conn_max=5 allows five connections' "$(client hold l udp 10.1.0.100 8000 5)" 'A B C A B'
check_eq 'ip_vs_status counts five connections' "$(status Conns) $(status 'Conns refused')" '5 0'
client patience 0.7 >/dev/null
check_eq 'conn_max=5 refuses a sixth connection' "$(client get udp 10.1.0.100 8000)" timeout
check_eq 'ip_vs_status counts the refused connection' "$(status Conns) $(status 'Conns refused')" '5 1'
check_eq 'the statistics do not count the refused connection' "$(statistics -u 10.1.0.100:8000 | cut -d' ' -f1,2)" '5 5'
check_eq 'conn_max=5 refuses a TCP connection' "$(client get tcp 10.1.0.100 80)" timeout
check_match 'ip_vs_status counts the refused TCP connection' "$(status 'Conns refused')" '[2-9]'
refused=$(status 'Conns refused')
client patience 10 >/dev/null
check_eq 'the five connections continue' "$(client again l)" 'A B C A B'
check_eq 'known connections are not counted as refused' "$(status 'Conns refused')" "$refused"
check 'conn_max=7 is accepted' set_to conn_max 7
# A refused connection may have advanced the scheduler.
check_match 'conn_max=7 allows two more connections' "$(client hold l udp 10.1.0.100 8000 2)" '[ABC] [ABC]'
check_eq 'ip_vs_status counts seven connections' "$(status Conns)" 7
check 'conn_max=3 is accepted with seven connections' set_to conn_max 3
check_match 'the seven connections continue' "$(client again l)" 'A B C A B [ABC] [ABC]'
client patience 0.7 >/dev/null
check_eq 'conn_max=3 refuses an eighth connection' "$(client get udp 10.1.0.100 8000)" timeout
check_eq 'ip_vs_status counts the refused eighth connection' "$(status Conns) $(status 'Conns refused')" "7 $((refused + 1))"
client patience 10 >/dev/null
must lvs --set 0 0 1
client again l >/dev/null
check_soon 'the seven connections expire' 0 status Conns
check_match 'conn_max=3 allows three connections after that' "$(client hold n udp 10.1.0.100 8000 3)" '[ABC] [ABC] [ABC]'
check_eq 'no further connection is counted as refused' "$(status 'Conns refused')" $((refused + 1))
finish
