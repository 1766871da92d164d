#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# What a director owes to those who did not configure it: a namespace's root takes no more of the
# host than the host lets it have, an unprivileged listing loads no module, and persistent services
# treat ports, timeouts and schedulers as the kernel's own director does.
# timeout: 120

# Functions are called by name.
# shellcheck disable=SC2317
# Functions are called through check, and awk's programs are in single quotes.
# shellcheck disable=SC2317,SC2016
# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"

unload_all ip_vs
unload_all ipvs_rs
ours() { [ "$IPVS_MODULE" = ipvs_rs ]; }

# --- an unprivileged listing
# ----------------------------------------------------------------------------------------

nobody=(setpriv --reuid 65534 --regid 65534 --clear-groups)
if ours; then
	check_fails 'nobody lists' 'virtual server|permi' "${nobody[@]}" "$(command -v "$LVSADM")" -L -n
	check_eq 'which loads no director' "$(lsmod | grep -Ec '^ip_?vs')" 0
	check_fails 'root of a user namespace lists' 'virtual server|permi' \
		"${nobody[@]}" unshare --user --map-root-user --net "$(command -v "$LVSADM")" -L -n
	check_eq 'which loads none either' "$(lsmod | grep -Ec '^ip_?vs')" 0
fi

# --- the limit of connections
# -----------------------------------------------------------------------------------------

must module_load "$IPVS_MODULE"
limit=/proc/sys/net/ipv4/vs/conn_max
before=$(cat $limit)
echo 1000 >$limit
# A namespace whose root is not the host's: it says its limit, sets what it is told to, and says
# what it got.
coproc inside { exec unshare --user --map-root-user --net bash -c 'while read -r value; do
	[ "$value" = say ] || echo "$value" 2>/dev/null >'$limit'; cat '$limit'; done' 2>/dev/null; }
# shellcheck disable=SC2154 # made by coproc
within() {
	echo "$1" >&"${inside[1]}"
	read -r -t $((20 * TIME_SCALE)) answer <&"${inside[0]}"
	echo "$answer"
}
check_eq 'a namespace begins with the limit of the host' "$(within say)" 1000
check_eq 'its root cannot raise it' "$(within 1001)" 1000
check_eq 'its root can lower it' "$(within 400)" 400
check_eq 'and raise it again as far as it was' "$(within 1000) $(within 1001)" '1000 1000'
# shellcheck disable=SC2154
by_host() { nsenter --net="/proc/$inside_PID/ns/net" sh -c "echo $1 >$limit"; }
check "the host's administrator raises it" by_host 5000
check_eq 'which is in force' "$(within say)" 5000
check_eq 'and a limit for its root' "$(within 6000) $(within 4500)" '5000 4500'
check "the host's administrator lowers it" by_host 300
check_eq 'and a limit for its root, too' "$(within 301) $(within 299)" '300 299'
echo "$before" >$limit
check_eq 'the limit of the host is not that of a namespace' "$(within say)" 299
eval "exec ${inside[1]}>&-"
wait "$inside_PID" 2>/dev/null

# --- persistent services
# ------------------------------------------------------------------------------------------------

unload_all "$IPVS_MODULE"
must module_load "$IPVS_MODULE"
topology_up
client_up client
servers_up A B C
must on director nft 'table inet marks { chain early { type filter hook prerouting priority mangle;
	ip daddr 10.4.0.1 meta mark set 1; ip6 daddr fd00:0:0:4::1 meta mark set 1; }; }'

# Nobody listens on port 9; the servers listen on 80 and 8080.
ports() {
	service -f "$1" rr -p 60 -- A:m:1:9
	check_eq "$2: a persistent mark keeps the client's port" "$(client get tcp "$3" 80) $(client get udp "$3" 80)" 'A A'
	check_eq "$2: and another one" "$(client get tcp "$3" 8080)" A
	flush
	service -t "$4:0" rr -p 60 -- A:m:1:9
	check_eq "$2: a persistent service on all ports keeps the client's port" "$(client get tcp "$5" 80)" A
	check_eq "$2: and another one" "$(client get tcp "$5" 8080)" A
	flush
	service -t "$4:80" rr -p 60 -- A:m:1:8080
	check_eq "$2: one on a port has the server's" "$(client get tcp "$5" 80)" A
	check_eq "$2: which is listed" "$(lvs -L -n -c | grep -F " $4:80 " | grep -Ec ":8080 *$")" 2
	flush
}
ports 1 IPv4 10.4.0.1 10.1.0.100 10.1.0.100
ports '1 -6' IPv6 fd00:0:0:4::1 "[$(six 10.1.0.101)]" "$(six 10.1.0.101)"

# What the command does not send.
netlink() {
	on director python3 - "$here" <<-END
		import struct, sys
		sys.path.insert(0, sys.argv[1])
		from nl import *
		family = Family()
		which = dict(addr=address("10.1.0.102"), port=be16(80))
		def flags(value): return struct.pack("=II", value, 0xFFFFFFFF)
		def add(server, command=NEW_DEST): family.call(command, key(**which) + dst(addr=address(server)))
		$1
	END
}
template_expires() { on director awk '$3 == "0000" && $4 == "0A010066" { print $NF <= 61 ? "within a minute" : $NF }' /proc/net/ip_vs_conn; }
must netlink 'family.call(NEW_SERVICE, svc(**which, flags=flags(1), timeout=u32(0))); add("10.2.0.11"); add("10.2.0.12")'
first=$(client get tcp 10.1.0.102 80)
check_eq 'persistence with a timeout of 0' "$(client get tcp 10.1.0.102 80 3)" "$first $first $first"
check_eq 'lasts for a minute' "$(template_expires)" 'within a minute'
flush

must netlink 'family.call(NEW_SERVICE, svc(**which, sched=b"none\0")); add("10.2.0.11")'
check_eq 'without a scheduler clients are refused' "$(client get tcp 10.1.0.102 80)" refused
must netlink 'family.call(SET_SERVICE, svc(**which))'
check_eq 'with one they are served' "$(client hold kept tcp 10.1.0.102 80)" A
must netlink 'family.call(SET_SERVICE, svc(**which, sched=b"none\0"))'
check_eq 'without one again they are not' "$(client get tcp 10.1.0.102 80)" refused
check_eq 'but those who are connected' "$(client again kept)" A
must client close kept
must netlink 'family.call(SET_SERVICE, svc(**which, flags=flags(1), timeout=u32(60)))'
check_eq 'a persistent client' "$(client get tcp 10.1.0.102 80)" A
must netlink 'family.call(SET_SERVICE, svc(**which, sched=b"none\0", flags=flags(1), timeout=u32(60)))'
check_eq 'comes back without a scheduler' "$(client get tcp 10.1.0.102 80)" A
flush

# This host is the server, under the virtual address.
must on director ip address add 10.1.0.102/32 dev lo
on director python3 -c 'import http.server
class Me(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b"director\n")
    def log_message(self, *_): pass
http.server.HTTPServer(("10.1.0.102", 80), Me).serve_forever()' &
must netlink 'family.call(NEW_SERVICE, svc(**which)); family.call(NEW_DEST, key(**which) + dst(addr=address("10.2.0.77"), fwd=u32(1)))'
check 'the forwarding method local: this host serves' wait_for 20 eval \
	'[ "$(on client curl -s -m 5 http://10.1.0.102/)" = director ]'
check_match 'which is counted' "$(lvs -L -n --stats --exact -t 10.1.0.102:80 | awk '/^TCP/ { print $(NF - 4), $(NF - 3) }')" '[1-9][0-9]* [1-9][0-9]*'
check_eq 'and listed' "$(on director sed -n 's/ *-> .* \(Local\) .*/\1/p' /proc/net/ip_vs)" Local
flush

# --- services and servers that go
# -----------------------------------------------------------------------------------------

# What the table has of connections to port 80 of a virtual address.
known() { lvs -L -n -c | grep -c "$1:80 "; }

must client patience 5
service -t 10.1.0.100:80 rr -- A:m:1
service -u 10.1.0.100:80 rr -- A:m:1
must client hold kept tcp 10.1.0.100 80 1
must client hold kept udp 10.1.0.100 80 1
flush
check_eq 'the last service is gone: its clients are told' "$(client again kept)" 'reset refused'
must client close kept
if ours; then
	service -t 10.1.0.101:80 rr -- A:m:1
	service -u 10.1.0.101:80 rr -- A:m:1
	service -t 10.1.0.102:80 rr -- B:m:1
	must client hold kept tcp 10.1.0.101 80 1
	must client hold kept udp 10.1.0.101 80 1
	# A server that went before its service.
	must destination -d -t 10.1.0.101:80 A:m
	must lvs -D -t 10.1.0.101:80
	must lvs -D -u 10.1.0.101:80
	check_eq 'a service is gone while others stay: its clients are told' "$(client again kept)" 'reset refused'
	check_eq 'the others are served' "$(client get tcp 10.1.0.102 80)" B
	must client close kept
	flush
	service -t 10.1.0.101:80 rr -- A:m:1
	must client hold kept tcp 10.1.0.101 80 1
	must lvs -R <<-'END'
		-D -t 10.1.0.101:80
		-A -t 10.1.0.101:80 -s rr
		-a -t 10.1.0.101:80 -r 10.2.0.11:80 -m
	END
	check_eq 'a service that comes back has its connections' "$(client again kept)" A
	must client close kept
	flush
fi

service -t 10.1.0.103:80 rr -- A:m:1 B:m:1
service -u 10.1.0.103:80 rr -- A:m:1
sysctls director net.ipv4.vs.expire_nodest_conn=1
check_eq 'connections to a server that goes' "$(client hold kept tcp 10.1.0.103 80 2) $(client hold kept udp 10.1.0.103 80 1)" 'A B A'
must destination -d -t 10.1.0.103:80 A:m
must destination -d -u 10.1.0.103:80 A:m
check_soon 'expire_nodest_conn: they end, without a packet' 1 known 10.1.0.103
check_eq 'the others stay' "$(client again kept | cut -d' ' -f2)" B
must client close kept
flush

sysctls director net.ipv4.vs.conn_reuse_mode=0
service -t 10.1.0.102:80 rr -- A:m:1 B:m:1
client reuse close 10.1.0.102 80 200 >"$work/reused" &
reusing=$!
begun() { [ "$(scheduled -t 10.1.0.102:80 | cut -d' ' -f1)" -ge 1 ]; }
check 'a port is used again and again' wait_for 20 begun
must destination -e -t 10.1.0.102:80 A:m:0
wait $reusing
check_eq 'conn_reuse_mode 0, expire_nodest_conn 1: it leaves a quiesced server' "$(tr ' ' '\n' <"$work/reused" | uniq | xargs)" 'A B'
sysctls director net.ipv4.vs.conn_reuse_mode=1 net.ipv4.vs.expire_nodest_conn=0
must client patience 10
flush

finish
