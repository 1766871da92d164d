#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# ewma chooses between two servers by measured delays. A server with late answers gets fewer
# connections until its answers are fast again.
# timeout: 300
# kernel: debug, because arithmetic on delays does not depend on the kernel

# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"

unload_all "$IPVS_MODULE"
must module_load "$IPVS_MODULE"
topology_up
client_up client
servers_up A B C
modprobe sch_netem 2>/dev/null

# late SERVER MILLISECONDS: delays the server's NAT answers by that much; 0 ends the delay.
late() {
	on "$1" tc qdisc del dev eth1 root 2>/dev/null
	[ "$2" = 0 ] || must on "$1" tc qdisc add dev eth1 root netem delay "$2ms"
}
# counts TEXT SERVER: prints the server's number in a text such as "A=4 B=2".
counts() {
	local n
	n=$(grep -o "$2=[0-9]*" <<<"$1")
	echo "$((${n#*=} + 0))"
}
# between NAME GOT LEAST MOST
between() {
	local good=1
	[ "$2" -lt "$3" ] || [ "$2" -gt "$4" ] || good=0
	[ $good = 0 ] || note "got $2, wanted $3 to $4"
	report $good "$1"
}

for vip in 10.1.0.100 fd00:0:0:1::100; do
	at=$vip
	[[ $vip != *:* ]] || at="[$vip]"
	service -t "$at:80" ewma -- A:m:1 B:m:1 C:m:1
	# One connection at a time, so that only the delay makes a server worse. The first answers
	# may be late.
	# shellcheck disable=SC2317 # called through wait_for
	all_have_shares() {
		# Measured delays decay by half every two seconds. Waiting is cheaper than asking.
		sleep 2
		got=$(client bulk tcp "$vip" 80 30 1)
		[ "$(counts "$got" A)" -ge 3 ] && [ "$(counts "$got" B)" -ge 3 ] && [ "$(counts "$got" C)" -ge 3 ]
	}
	check "$vip: equally fast servers each get a share" wait_for 60 all_have_shares
	# The delay exceeds those that a busy machine may add.
	late B $((300 * TIME_SCALE))
	client bulk tcp "$vip" 80 9 3 >/dev/null
	got=$(client bulk tcp "$vip" 80 60 1)
	note "$vip, B delayed: $got"
	between "$vip: a late server gets few connections" "$(counts "$got" B)" 0 6
	between "$vip: the other servers get the rest" "$(($(counts "$got" A) + $(counts "$got" C)))" 54 60
	late B 0
	check "$vip: a server that is no longer late gets its share again" wait_for 60 all_have_shares
	flush
done

service -t 10.1.0.101:80 ewma -- A:m:8 B:m:1 C:m:0
# The first answer of A may be late, and B gets the connections until that decays.
# shellcheck disable=SC2317 # called through wait_for
most_to_a() {
	sleep 2
	[ "$(counts "$(client bulk tcp 10.1.0.101 80 60 3)" A)" -gt 30 ]
}
check 'a server of weight 8 gets most connections' wait_for 60 most_to_a
got=$(client bulk tcp 10.1.0.101 80 60 3)
note "weights 8, 1, 0: $got"
check_eq 'a server of weight 0 gets no connections' "$(counts "$got" C)" 0
flush

# The director measures nothing when answers bypass it or there is no handshake. Then the number of
# connections decides.
service -t 10.1.0.102:80 ewma -- A:g:1 B:i:1 C:g:1
client hold kept tcp 10.1.0.102 80 30 >/dev/null
check_match 'DR and TUN are balanced by numbers of connections' "$(connections -t 10.1.0.102:80)" 'A ([89]|1[0-2])/0 B ([89]|1[0-2])/0 C ([89]|1[0-2])/0'
client close kept >/dev/null
service -u 10.1.0.102:80 ewma -- A:m:1 B:m:1 C:m:1
client hold kept udp 10.1.0.102 80 30 >/dev/null
check_match 'UDP is balanced by numbers of connections' "$(connections -u 10.1.0.102:80)" 'A 0/([89]|1[0-2]) B 0/([89]|1[0-2]) C 0/([89]|1[0-2])'
client close kept >/dev/null

# A server that does not answer SYNs counts as slow as the time that has passed.
service -t 10.1.0.103:80 ewma -- A:m:1 B:m:1 C:m:1
client bulk tcp 10.1.0.103 80 30 3 >/dev/null
must on B nft 'table ip silent { chain input { type filter hook input priority 0; tcp dport 80 drop; }; }'
client patience 1 >/dev/null
got=$(client bulk tcp 10.1.0.103 80 60 3)
client patience 10 >/dev/null
note "B is silent: $got"
between 'the others answer nearly all connections while B is silent' "$(($(counts "$got" A) + $(counts "$got" C)))" 48 60
must on B nft delete table ip silent
# shellcheck disable=SC2317 # called through wait_for
answers() { [ "$(counts "$(client bulk tcp 10.1.0.103 80 30 1)" B)" -ge 3 ]; }
check 'B gets connections again once it answers' wait_for 120 answers
finish
