#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Trust: root of a namespace gets no more resources than the host allows, an unprivileged listing
# loads no module, and clients of persistent services, of deleted services and of deleted servers
# are treated as with the C director or better.
# timeout: 120
# check: debug, because the debug kernel sees what a message damages

# Functions are called through check; awk programs are in single quotes.
# shellcheck disable=SC2317,SC2016
# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"

unload_all ip_vs
unload_all ipvs_rs
ours() { [ "$IPVS_MODULE" = ipvs_rs ]; }

# --- an unprivileged listing ----------------------------------------------------------------------

nobody=(setpriv --reuid 65534 --regid 65534 --clear-groups)
if ours; then
	check_fails 'the user nobody cannot list services' 'virtual server|permi' "${nobody[@]}" "$(command -v "$LVSADM")" -L -n
	check_eq 'an attempt of nobody loads no director' "$(lsmod | grep -Ec '^ip_?vs')" 0
	check_fails 'root of a user namespace cannot list services' 'virtual server|permi' \
		"${nobody[@]}" unshare --user --map-root-user --net "$(command -v "$LVSADM")" -L -n
	check_eq 'an attempt of root of a user namespace loads no director' "$(lsmod | grep -Ec '^ip_?vs')" 0
fi

# --- the connection limit -------------------------------------------------------------------------

must module_load "$IPVS_MODULE"
limit=/proc/sys/net/ipv4/vs/conn_max
before=$(cat $limit)
echo 1000 >$limit
# A network namespace whose root is not root of the host. It reads values, sets the limit to each
# (except for "say"), and prints the resulting limit.
coproc inside { exec unshare --user --map-root-user --net bash -c 'while read -r value; do
	[ "$value" = say ] || echo "$value" 2>/dev/null >'$limit'; cat '$limit'; done' 2>/dev/null; }
# shellcheck disable=SC2154 # made by coproc
within() {
	echo "$1" >&"${inside[1]}"
	read -r -t $((20 * TIME_SCALE)) answer <&"${inside[0]}"
	echo "$answer"
}
check_eq 'a new namespace has the limit of the host' "$(within say)" 1000
check_eq 'root of the namespace cannot raise the limit' "$(within 1001)" 1000
check_eq 'root of the namespace can lower the limit' "$(within 400)" 400
check_eq 'root of the namespace can raise the limit to the former value only' "$(within 1000) $(within 1001)" '1000 1000'
# shellcheck disable=SC2154
by_host() { nsenter --net="/proc/$inside_PID/ns/net" sh -c "echo $1 >$limit"; }
check "the administrator of the host raises the limit" by_host 5000
check_eq 'the raised limit takes effect' "$(within say)" 5000
check_eq 'the raised limit bounds root of the namespace' "$(within 6000) $(within 4500)" '5000 4500'
check "the administrator of the host lowers the limit" by_host 300
check_eq 'the lowered limit bounds root of the namespace' "$(within 301) $(within 299)" '300 299'
echo "$before" >$limit
check_eq 'a change of the host limit leaves the limit of a namespace alone' "$(within say)" 299
# bash forgets the number of a coprocess that has ended.
child=$inside_PID
eval "exec ${inside[1]}>&-"
wait "$child" 2>/dev/null

# --- persistent services --------------------------------------------------------------------------

unload_all "$IPVS_MODULE"
must module_load "$IPVS_MODULE"
topology_up
client_up client
servers_up A B C
must on director nft 'table inet marks { chain early { type filter hook prerouting priority mangle;
	ip daddr 10.4.0.1 meta mark set 1; ip6 daddr fd00:0:0:4::1 meta mark set 1; }; }'

# The servers listen on ports 80 and 8080, not on 9.
ports() {
	service -f "$1" rr -p 60 -- A:m:1:9
	check_eq "$2: a persistent mark keeps the client's port" "$(client get tcp "$3" 80) $(client get udp "$3" 80)" 'A A'
	check_eq "$2: a persistent mark keeps another port" "$(client get tcp "$3" 8080)" A
	flush
	service -t "$4:0" rr -p 60 -- A:m:1:9
	check_eq "$2: a persistent service on all ports keeps the client's port" "$(client get tcp "$5" 80)" A
	check_eq "$2: a persistent service on all ports keeps another port" "$(client get tcp "$5" 8080)" A
	flush
	service -t "$4:80" rr -p 60 -- A:m:1:8080
	check_eq "$2: a persistent service on one port uses the server's port" "$(client get tcp "$5" 80)" A
	check_eq "$2: the connection list shows the server's port" "$(lvs -L -n -c | grep -F " $4:80 " | grep -Ec ":8080 *$")" 2
	flush
}
ports 1 IPv4 10.4.0.1 10.1.0.100 10.1.0.100
ports '1 -6' IPv6 fd00:0:0:4::1 "[$(six 10.1.0.101)]" "$(six 10.1.0.101)"

# Requests that the command never sends.
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
check_eq 'persistence with a timeout of 0 keeps the server' "$(client get tcp 10.1.0.102 80 3)" "$first $first $first"
check_eq 'a template with a timeout of 0 lives for a minute' "$(template_expires)" 'within a minute'
flush

must netlink 'family.call(NEW_SERVICE, svc(**which, sched=b"none\0")); add("10.2.0.11")'
check_eq 'a service without a scheduler refuses clients' "$(client get tcp 10.1.0.102 80)" refused
must netlink 'family.call(SET_SERVICE, svc(**which))'
check_eq 'a service that gets a scheduler serves clients' "$(client hold kept tcp 10.1.0.102 80)" A
must netlink 'family.call(SET_SERVICE, svc(**which, sched=b"none\0"))'
check_eq 'a service that loses its scheduler refuses new clients' "$(client get tcp 10.1.0.102 80)" refused
check_eq 'a service that loses its scheduler keeps its connections' "$(client again kept)" A
must client close kept
must netlink 'family.call(SET_SERVICE, svc(**which, flags=flags(1), timeout=u32(60)))'
check_eq 'a persistent client is served' "$(client get tcp 10.1.0.102 80)" A
must netlink 'family.call(SET_SERVICE, svc(**which, sched=b"none\0", flags=flags(1), timeout=u32(60)))'
check_eq 'a persistent client is served after the service loses its scheduler' "$(client get tcp 10.1.0.102 80)" A
flush

# The host itself serves at the virtual address.
must on director ip address add 10.1.0.102/32 dev lo
on director python3 -c 'import http.server
class Me(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b"director\n")
    def log_message(self, *_): pass
http.server.HTTPServer(("10.1.0.102", 80), Me).serve_forever()' &
must netlink 'family.call(NEW_SERVICE, svc(**which)); family.call(NEW_DEST, key(**which) + dst(addr=address("10.2.0.77"), fwd=u32(1)))'
check 'forwarding method local: the host serves' wait_for 20 eval \
	'[ "$(on client curl -s -m 5 http://10.1.0.102/)" = director ]'
check_match 'forwarding method local: the statistics count the traffic' "$(lvs -L -n --stats --exact -t 10.1.0.102:80 | awk '/^TCP/ { print $(NF - 4), $(NF - 3) }')" '[1-9][0-9]* [1-9][0-9]*'
check_eq 'forwarding method local: /proc/net/ip_vs lists Local' "$(on director sed -n 's/ *-> .* \(Local\) .*/\1/p' /proc/net/ip_vs)" Local
flush

# --- deleted services and servers -----------------------------------------------------------------

# Prints the number of connections to port 80 of a virtual address.
known() { lvs -L -n -c | grep -c "$1:80 "; }

must client patience 5
service -t 10.1.0.100:80 rr -- A:m:1
service -u 10.1.0.100:80 rr -- A:m:1
must client hold kept tcp 10.1.0.100 80 1
must client hold kept udp 10.1.0.100 80 1
flush
check_eq 'the host refuses clients of the last deleted service' "$(client again kept)" 'reset refused'
must client close kept
if ours; then
	service -t 10.1.0.101:80 rr -- A:m:1
	service -u 10.1.0.101:80 rr -- A:m:1
	service -t 10.1.0.102:80 rr -- B:m:1
	must client hold kept tcp 10.1.0.101 80 1
	must client hold kept udp 10.1.0.101 80 1
	# This server is deleted before its service.
	must destination -d -t 10.1.0.101:80 A:m
	must lvs -D -t 10.1.0.101:80
	must lvs -D -u 10.1.0.101:80
	check_eq 'the host refuses clients of a deleted service while others stay' "$(client again kept)" 'reset refused'
	check_eq 'other services serve after a service is deleted' "$(client get tcp 10.1.0.102 80)" B
	must client close kept
	flush
	service -t 10.1.0.101:80 rr -- A:m:1
	must client hold kept tcp 10.1.0.101 80 1
	must lvs -R <<-'END'
		-D -t 10.1.0.101:80
		-A -t 10.1.0.101:80 -s rr
		-a -t 10.1.0.101:80 -r 10.2.0.11:80 -m
	END
	check_eq 'a service that is added again regains its connections' "$(client again kept)" A
	must client close kept
	flush
fi

service -t 10.1.0.103:80 rr -- A:m:1 B:m:1
service -u 10.1.0.103:80 rr -- A:m:1
sysctls director net.ipv4.vs.expire_nodest_conn=1
check_eq 'connections open to a server that will be deleted' "$(client hold kept tcp 10.1.0.103 80 2) $(client hold kept udp 10.1.0.103 80 1)" 'A B A'
must destination -d -t 10.1.0.103:80 A:m
must destination -d -u 10.1.0.103:80 A:m
check_soon 'expire_nodest_conn: connections of a deleted server end without a packet' 1 known 10.1.0.103
check_eq 'expire_nodest_conn: connections of other servers continue' "$(client again kept | cut -d' ' -f2)" B
must client close kept
flush

sysctls director net.ipv4.vs.conn_reuse_mode=0
service -t 10.1.0.102:80 rr -- A:m:1 B:m:1
client reuse close 10.1.0.102 80 20000 B >"$work/reused" &
reusing=$!
begun() { [ "$(scheduled -t 10.1.0.102:80 | cut -d' ' -f1)" -ge 1 ]; }
check 'a client reuses one port' wait_for 20 begun
must destination -e -t 10.1.0.102:80 A:m:0
wait $reusing
check_eq 'conn_reuse_mode 0, expire_nodest_conn 1: a reused port leaves a quiesced server' "$(tr ' ' '\n' <"$work/reused" | uniq | xargs)" 'A B'
sysctls director net.ipv4.vs.conn_reuse_mode=1 net.ipv4.vs.expire_nodest_conn=0
must client patience 10
flush

finish
