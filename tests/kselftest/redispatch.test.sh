#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A service with --redispatch: a server that died since the last health check costs no client its
# connection. Repeated SYNs reach other servers, refusals do not reach the client, and no request
# reaches two servers.
# timeout: 600
# check: debug, because choices do not depend on the kernel

# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"

must module_load "$IPVS_MODULE"
topology_up
client_up client
servers_up A B C
vip=10.1.0.100 vip6=fd00:0:0:1::100

# kill_server NAME RULE: this rule meets every SYN that the server receives.
kill_server() {
	must on "$1" nft "add table inet dead; add chain inet dead in { type filter hook input priority 0; }; add rule inet dead in tcp flags & (syn | ack) == syn $2"
}
revive() {
	must on "$1" nft delete table inet dead
}
redispatched() {
	on director sed -n 's/^Conns redispatched:\t//p' /proc/net/ip_vs_status
}
# gets ADDRESS COUNT: prints the answers without spaces.
gets() {
	client get tcp "$1" 80 "$2" | tr -d ' '
}

# --- silent servers -------------------------------------------------------------------------------

kill_server A drop
for method in m i g; do
	for at in "$vip" "[$vip6]"; do
		address=${at//[][]/}
		service -t "$at:80" rr --redispatch -- A:$method:1 B:$method:1 C:$method:1
		check_match "-$method, $address: clients of a silent server get another one" "$(gets "$address" 6)" '[BC]{6}'
		check_match "-$method, $address: the silent server keeps no connection" "$(connections -t "$at:80")" 'A 0/0 B .*'
		flush
	done
done
kill_server B drop
for scheduler in rr wlc sh oneip; do
	service -t $vip:80 $scheduler --redispatch -- A:m:1 B:m:1 C:m:1
	check_eq "$scheduler: with two silent servers of three, every client gets the third" "$(gets $vip 6)" CCCCCC
	flush
done
revive B

service -t $vip:80 rr --redispatch -p 300 -- A:m:1 B:m:1 C:m:1
check_match 'a client of a persistent service moves to another server and stays there' "$(gets $vip 4)" 'BBBB|CCCC'
flush

must on director nft 'add table ip marks; add chain ip marks early { type filter hook prerouting priority mangle; }; add rule ip marks early ip daddr 10.4.0.1 meta mark set 1'
service -f 1 rr --redispatch -- A:g:1 B:g:1 C:g:1
check_match 'clients of a service on a firewall mark get another server' "$(gets $marked_vip 6)" '[BC]{6}'
must on director nft delete table ip marks
flush

check 'moved connections are counted' test "$(redispatched)" -gt 10
revive A

# --- refusals -------------------------------------------------------------------------------------

kill_server A 'reject with tcp reset'
service -t $vip:80 rr -- A:m:1 B:m:1 C:m:1
check_match 'without --redispatch a client sees the reset' "$(gets $vip 3)" '.*refused.*'
must lvs set -t $vip:80 --redispatch
check_match 'with --redispatch a client of a server that resets gets another one' "$(gets $vip 6)" '[BC]{6}'
for server in B C; do must destination -e -t $vip:80 $server:m:0; done
check_match 'without another server the client sees the reset' "$(gets $vip 1)" '.*refused.*'
flush
revive A

for family in ip ip6; do
	at=$vip address=$vip reject='icmp type host-unreachable'
	[ $family = ip ] || at="[$vip6]" address=$vip6 reject='icmpv6 type addr-unreachable'
	kill_server A "reject with $reject"
	service -t "$at:80" rr --redispatch -- A:m:1 B:m:1 C:m:1
	check_match "$address: ICMP errors about a SYN do not reach the client" "$(gets "$address" 6)" '[BC]{6}'
	flush
	revive A
done

# The router has no route to the tunnel's end.
must ip -n router route replace unreachable 10.3.0.11
service -t $vip:80 rr --redispatch -- A:i:1 B:i:1 C:i:1
check_match 'ICMP errors about a tunnel do not reach the client' "$(gets $vip 6)" '[BC]{6}'
flush
must ip -n router route del unreachable 10.3.0.11
must ip -n router route replace 10.3.0.11 via 10.1.0.11

# --- never two servers for one request ------------------------------------------------------------

# The server has the SYN, and its answers are lost. It repeats them when they no longer are.
must on A nft 'add table inet mute; add chain inet mute out { type filter hook output priority 0; }; add rule inet mute out tcp flags & (syn | ack) == syn | ack drop'
service -t $vip:80 rr --redispatch -- A:m:1 B:m:1 C:m:1
check_match 'a server whose answers are lost is silent, too' "$(gets $vip 3)" '[BC]{3}'
must on A nft delete table inet mute
sleep 4
check_eq 'late answers of the first server open no second connection' \
	"$(on A ss -Htn state established sport = :80 | wc -l)" 0
flush

# The director has seen the answer, so the client's SYN comes again for another reason.
before=$(redispatched)
service -t $vip:80 rr --redispatch -- A:m:1 B:m:1 C:m:1
must on router nft 'add table ip lossy; add chain ip lossy forward { type filter hook forward priority 0; }; add rule ip lossy forward tcp flags & (syn | ack) == syn | ack drop'
{ sleep 0.5; on router nft delete table ip lossy; } &
check_eq 'a server that has answered keeps its connection' "$(gets $vip 1)" A
wait $!
check_eq 'no connection has moved' "$(redispatched)" "$before"
flush

# --- the setting ----------------------------------------------------------------------------------

service -t $vip:80 wlc --redispatch -- A:m:1
check_match 'saved rules have the setting' "$(lvs -S -n | head -n 1)" '-A -t 10.1.0.100:80 -s wlc --redispatch'
check_match 'so has the table' "$(lvs -L -n)" ".*TCP  10.1.0.100:80 wlc redispatch.*"
check_eq 'and JSON' "$(lvs -L --json | jq .services[0].redispatch)" true
check_eq 'an edit by ipvsadm resets it' \
	"$(on director ipvsadm -E -t $vip:80 -s wlc 2>&1 && lvs -L --json | jq .services[0].redispatch)" false
check_fails 'UDP services cannot have it' 'works for TCP and firewall-mark services only' \
	on director "$LVSADM" -A -u $vip:53 --redispatch
flush

finish
