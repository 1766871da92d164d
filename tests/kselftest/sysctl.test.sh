#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The settings in net.ipv4.vs: names, defaults, ranges, and their effects on connections.
# timeout: 240
# check: debug, because settings do not depend on the kernel

# Functions are called through eval and wait_for.
# shellcheck disable=SC2016,SC2086,SC2317
# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"

unload_all "$IPVS_MODULE"
must module_load "$IPVS_MODULE"
topology_up
for host in client router director A; do
	sysctls $host net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0 net.ipv4.icmp_msgs_per_sec=100000
done
client_up client
takes_orders errors client errors.py 10.0.0.1 fd00::1
servers_up A B C

settings=/proc/sys/net/ipv4/vs
setting() { on director cat "$settings/$1"; }
set_to() { on director bash -c "echo '$2' >$settings/$1"; }
status() { on director sed -n "s/^$1:\t//p" /proc/net/ip_vs_status; }
# states ADDRESS [PORT]: prints the states of the connections to that address.
states() {
	on director awk -v to="$(printf '%02X%02X%02X%02X' ${1//./ })" -v port="$(printf '%04X' "${2:-80}")" \
		'$4 == to && $5 == port { print $8 }' /proc/net/ip_vs_conn | sort | uniq -c | xargs
}
ours() { [ "$IPVS_MODULE" != ip_vs ]; }

# --- values ---------------------------------------------------------------------------------------

# tries NAME VALUE…: prints the value of the setting before, and after an attempt to set each value.
# A ! marks a refused value.
tries='read -r was <"$0"; printf %s "$was"
	for value; do
		refused=
		{ echo "$value" >"$0"; } 2>/dev/null || refused=!
		read -r is <"$0"; printf " %s%s" "$is" $refused
	done
	echo "$was" >"$0"'
while read -r name default good bad; do
	[ -n "$name" ] || continue
	wanted="$default ${good//,/ }"
	# The C director accepts any number for most settings.
	if ours; then
		bad+=,x,4294967297
		for _ in ${bad//,/ }; do wanted+=" ${good##*,}!"; done
	else
		bad=
	fi
	check_eq "$name has the documented default and range" \
		"$(on director bash -c "$tries" "$settings/$name" ${good//,/ } ${bad//,/ })" "$wanted"
done <<-END
	am_droprate 10 0,1,2147483647 -1,2147483648
	amemthresh 1024 0,1,2147483647 -1,2147483648
	backup_only 0 0,1,2,-1 2147483648
	cache_bypass 0 0,1,2,-1 2147483648
	conn_lfactor -2 -8,0,8 -9,9
	conn_reuse_mode 1 0,1,2,3 -1,4
	conntrack 0 0,1,2,-1 2147483648
	drop_entry 0 0,1,3 -1,4
	drop_packet 0 0,1,3 -1,4
	est_nice 0 -20,19 -21,20
	expire_nodest_conn 0 0,1,2,-1 2147483648
	expire_quiescent_template 0 0,1,2,-1 2147483648
	ignore_tunneled 0 0,1,2,-1 2147483648
	$(ours && echo 'lblc_expiration 86400 0,60,2147483647 -1,2147483648')
	$(ours && echo 'lblcr_expiration 86400 0,60,2147483647 -1,2147483648')
	nat_icmp_send 0 0,1,2,-1 2147483648
	pmtu_disc 1 0,1,2,-1 2147483648
	$(ours && echo 'route_marks 1 0,1,2,3 -1,4')
	run_estimation 1 0,1,2,-1 2147483648
	schedule_icmp 0 0,1,2,-1 2147483648
	secure_tcp 0 0,1,3 -1,4
	sloppy_sctp 0 0,1,2,-1 2147483648
	sloppy_tcp 0 0,1,2,-1 2147483648
	snat_reroute 1 0,1,2,-1 2147483648
	svc_lfactor -2 -8,0,8 -9,9
	$(ours && echo 'sync_bulk_rate 0 0,50 -1,2147483648')
	sync_persist_mode 0 0,1,-1 2147483648
	sync_ports 1 1,2,64 0,3,-1
	sync_refresh_period 0 0,60 -1,2147483648
	sync_retries 0 0,3 -1,4
	sync_sock_size 0 0,65536 -1,2147483648
	sync_version 1 0,1 -1,2
END
check_match 'sync_qlen_max has a default by the amount of memory' "$(setting sync_qlen_max)" '[1-9][0-9]*'
check_eq 'sync_threshold has two numbers, the first below the second unless that is 0' "$(for value in '' '0 1' '5 0' '4' '7 7' '-1 3' 'x 3'; do
	[ -z "$value" ] || set_to sync_threshold "$value" 2>/dev/null || echo refused
	setting sync_threshold
done | xargs)" '3 50 0 1 5 0 4 0 refused 4 0 refused 4 0 refused 4 0'
must set_to sync_threshold '3 50'

# --- servers that are deleted ---------------------------------------------------------------------

for method in m i g; do
	case $method in m) title=NAT ;; i) title=TUN ;; *) title=DR ;; esac
	for protocol in tcp udp; do
		service "-${protocol:0:1}" 10.1.0.100:80 rr -- A:$method:1
		server_options A:$method:1 10.1.0.100
		must client hold kept $protocol 10.1.0.100 80 1
		must lvs -d "-${protocol:0:1}" 10.1.0.100:80 "${server[@]:0:2}"
		server_options B:$method:1 10.1.0.100
		must lvs -a "-${protocol:0:1}" 10.1.0.100:80 "${server[@]}"
		must client patience 0.5
		check_eq "$title, $protocol: packets to a deleted server are dropped" "$(client again kept)" timeout
		must client patience 10
		must set_to expire_nodest_conn 1
		case $protocol in
		tcp) check_eq "$title, tcp: expire_nodest_conn resets clients of a deleted server" "$(client again kept)" reset ;;
		udp) check_eq "$title, udp: expire_nodest_conn moves clients of a deleted server at the first packet" "$(client again kept)" B-not-A ;;
		esac
		check_eq "$title, $protocol: expire_nodest_conn: new clients are served" "$(client get $protocol 10.1.0.100 80)" B
		must set_to expire_nodest_conn 0
		must client close kept
		flush
	done
done

# --- reused ports ---------------------------------------------------------------------------------

# A reused port is scheduled again and gets the next server, or it stays with its server.
service -t 10.1.0.100:80 rr -- A:m:1 B:m:1
check_eq 'conn_reuse_mode 1 schedules a reused port again' "$(client reuse close 10.1.0.100 80 4)" 'A B A B'
must set_to conn_reuse_mode 0
check_eq 'conn_reuse_mode 0 keeps the server of a reused port' "$(client reuse close 10.1.0.100 80 4 | tr ' ' '\n' | sort -u | wc -l)" 1
must set_to conn_reuse_mode 1
flush
# With DR, the director sees only the client's side close.
service -t 10.1.0.101:80 rr -- A:g:1 B:g:1
check_eq 'DR: conn_reuse_mode 1 keeps the server of a reused port' "$(client reuse close 10.1.0.101 80 4 | tr ' ' '\n' | sort -u | wc -l)" 1
must set_to conn_reuse_mode 2
check_match 'DR: conn_reuse_mode 2 schedules a reused port again' "$(client reuse close 10.1.0.101 80 4)" 'A B A B|B A B A'
must set_to conn_reuse_mode 1
flush

# --- connections without a SYN --------------------------------------------------------------------

service -t 10.1.0.102:80 rr -- A:g:1
must client hold old tcp 10.1.0.102 80 2
must client again old
# The client may delay its acknowledgment by 40 ms. Without a director, the host would answer it
# with a reset.
sleep 0.3
flush
unload_all "$IPVS_MODULE"
must module_load "$IPVS_MODULE"
service -t 10.1.0.102:80 rr -- A:g:1
must set_to sloppy_tcp 1
check_eq 'sloppy_tcp: connections continue through another director' "$(client again old)" 'A A'
check_eq 'sloppy_tcp: the connections become established' "$(states 10.1.0.102)" '2 ESTABLISHED'
must client close old
must set_to sloppy_tcp 0
flush

# --- tunnels and fragments ------------------------------------------------------------------------

service -u 10.1.0.103:80 rr -- A:i:1
must set_to pmtu_disc 0
check_eq 'pmtu_disc 0: a tunnel accepts large packets with DF' "$(ask errors learns 10.1.0.103 80 1472 1500)" '1500 A'
must set_to pmtu_disc 1
check_eq 'pmtu_disc 1: the sender learns the MTU of the tunnel' "$(ask errors learns 10.1.0.103 80 1472 1480)" '1480 A'
on client ip route flush cache
flush

# Packets that arrive through a tunnel are balanced, or the host receives them and refuses them.
must ip -n director link set tunl0 up
must ip -n client link add inner type ipip local 10.0.0.1 remote 10.1.0.1
must ip -n client link set inner up
must ip -n client route add 10.1.0.102/32 dev inner src 10.0.0.1
sysctls director net.ipv4.conf.tunl0.rp_filter=0
service -u 10.1.0.102:80 rr -- A:m:1
check_eq 'ignore_tunneled 0: packets from a tunnel are balanced' "$(client get udp 10.1.0.102 80 2)" 'A A'
must set_to ignore_tunneled 1
check_eq 'ignore_tunneled 1: the host receives packets from a tunnel' "$(client get udp 10.1.0.102 80 2)" 'refused refused'
must ip -n client link del inner
check_eq 'ignore_tunneled 1: other packets are balanced' "$(client get udp 10.1.0.102 80 2)" 'A A'
must set_to ignore_tunneled 0
must ip -n director link set tunl0 down
flush

# --- ICMP errors without a connection -------------------------------------------------------------

# The connections belonged to another director with the same servers.
answering() {
	service -u 10.1.0.100:80 sh -- A:m:1
	service -u 10.1.0.101:80 mh -p 300 -- A:g:1
}
answering
must ask errors open NAT udp 10.1.0.100 80
must ask errors open DR udp 10.1.0.101 80
flush
unload_all "$IPVS_MODULE"
must module_load "$IPVS_MODULE"
answering
too_big() {
	ask errors from_client NAT 10.2.0.11 eth1 3 4 1400 8
	ask errors from_client DR 10.1.0.101 eth0 3 4 1400 8
}
check_eq 'schedule_icmp 0: ICMP errors without a connection are not forwarded' "$(too_big)" $'nothing\nnothing'
must set_to schedule_icmp 1
check_eq 'schedule_icmp 1: the scheduler chooses a server for them' "$(too_big)" \
	$'3/4/1400 10.2.0.11:80>client\n3/4/1400 10.1.0.101:80>client'
must set_to schedule_icmp 0
flush

# --- unsolicited packets of real servers ----------------------------------------------------------

# unasked FROM TO PROTOCOL:PORT…: A sends a packet from each port to the client. Prints the error
# that each socket receives.
unasked() {
	on A python3 - "$@" <<-'END' | xargs
		import errno, socket, sys
		source, client, *ends = sys.argv[1:]
		for end in ends:
		    protocol, port = end.split(":")
		    kind = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}[protocol]
		    with socket.socket(socket.AF_INET6 if ":" in source else socket.AF_INET, kind) as sock:
		        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
		        sock.bind((source, int(port)))
		        sock.settimeout(0.7)
		        try:
		            sock.connect((client, 7777))
		            sock.send(b"x")
		            sock.recv(1)
		        except OSError as error:
		            print(errno.errorcode.get(error.errno, "nothing"))
	END
}
# The client does not answer, so every error comes from the director.
must on client nft "add table inet quiet; add chain inet quiet in { type filter hook input priority 0; };
	add rule inet quiet in meta l4proto { tcp, udp } th dport 7777 drop"
service -u 10.1.0.100:80 rr -- A:m:1:7000
service -t 10.1.0.100:80 rr -- A:m:1:7001
service -f 1 rr -- A:m:1:7002
service -u 10.1.0.103:80 rr -- A:g:1:7003 B:m:1:7004
service -u 10.1.0.102:80 rr -- A:m:1
service -u "[$(six 10.1.0.100)]:80" rr -- A:m:1:7005
strays() {
	unasked 10.2.0.11 10.0.0.1 udp:7000 tcp:7001 udp:7002 tcp:7002 tcp:7000 udp:7003 udp:7004
	unasked fd00:0:0:2::11 fd00::1 udp:7005 tcp:7005
}
silence=$'nothing nothing nothing nothing nothing nothing nothing\nnothing nothing'
check_eq 'nat_icmp_send 0: the director sends no errors' "$(strays)" "$silence"
must set_to nat_icmp_send 1
# The director updates its list of real servers every second.
sleep 2
check_eq 'nat_icmp_send 1: a NAT server receives an error for a packet without a connection' "$(strays)" \
	$'ECONNREFUSED ECONNREFUSED ECONNREFUSED ECONNREFUSED nothing nothing nothing\nECONNREFUSED nothing'
check_eq 'nat_icmp_send 1: connections work as before' "$(client get udp 10.1.0.102 80 2)" 'A A'
must set_to nat_icmp_send 0
must on client nft delete table inet quiet
flush

# --- defense --------------------------------------------------------------------------------------

service -u 10.1.0.100:80 rr -- A:m:1
service -t 10.1.0.100:80 rr -- A:m:1
service -t 10.1.0.101:80 rr -- A:g:1
must client hold before udp 10.1.0.100 80 1
must client patience 1
must set_to am_droprate 1
must set_to drop_packet 3
wait_for 5 eval '[ "$(client get udp 10.1.0.100 80)" = timeout ]'
check_eq 'drop_packet 3, am_droprate 1: every new connection is dropped' "$(client get udp 10.1.0.100 80 2)" 'timeout timeout'
check_eq 'drop_packet 3, am_droprate 1: open connections continue' "$(client again before)" A
! ours || check 'drop_packet: ip_vs_status counts the drops' test "$(status 'Conns dropped')" -ge 3
must set_to am_droprate 2
must client patience 0.1
sleep 1
answers=$(client get udp 10.1.0.100 80 64)
passed=$(grep -o A <<<"$answers" | wc -l)
check "drop_packet 3, am_droprate 2: about half pass ($passed of 64)" test "$passed" -gt 12 -a "$passed" -lt 52
must client patience 10
must set_to am_droprate 10
must set_to amemthresh 2147483647
must set_to drop_packet 1
check_soon 'drop_packet 1 becomes 2 when memory is scarce' 2 setting drop_packet
must set_to amemthresh 0
check_soon 'drop_packet 2 becomes 1 when memory is available' 1 setting drop_packet
check_eq 'drop_packet 1 drops nothing' "$(client get udp 10.1.0.100 80 8)" 'A A A A A A A A'
must set_to drop_packet 0
must set_to amemthresh 1024

# Half-open connections: the server does not answer their SYNs.
half_open() {
	must client patience 0.05
	must on A nft "add table ip quiet; add chain ip quiet in { type filter hook input priority 0; };
		add rule ip quiet in tcp flags & (syn | ack) == syn drop"
	client get tcp "$1" 80 "$2" >/dev/null
	must on A nft delete table ip quiet
	must client patience 10
}
half_open 10.1.0.101 3
check_eq 'secure_tcp 0: half-open connections are in SYN_RECV' "$(states 10.1.0.101)" '3 SYN_RECV'
must set_to secure_tcp 3
sleep 1
half_open 10.1.0.101 3
check_eq 'secure_tcp 3: half-open connections are in SYNACK' "$(states 10.1.0.101)" '3 SYNACK 3 SYN_RECV'
check_eq 'secure_tcp 3: NAT and DR connections are served' "$(client get tcp 10.1.0.100 80 2) $(client get tcp 10.1.0.101 80 2)" \
	'A A A A'
client hold firm tcp 10.1.0.100 80 2 >/dev/null
check_match 'secure_tcp 3: NAT connections become established' "$(states 10.1.0.100)" '2 ESTABLISHED.*'
must client close firm
must set_to secure_tcp 0
half_open 10.1.0.101 58
must set_to drop_entry 3
embryos() { states 10.1.0.101 | grep -Eo '[0-9]+ SYN(_RECV|ACK)' | awk '{ n += $1 } END { print n + 0 }'; }
had=$(embryos)
check "drop_entry has many half-open connections to drop ($had)" test "$had" -ge 50
fewer() { [ "$(embryos)" -lt $((had * 3 / 4)) ]; }
check 'drop_entry 3: half-open connections are dropped' wait_for 25 fewer
check_eq 'drop_entry 3: other connections continue' "$(client again before)" A
must set_to drop_entry 0
flush

# --- rates ----------------------------------------------------------------------------------------

# A deleted server that is added again regains its rates with its connections, so this one is new.
service -u 10.1.0.103:80 rr -- A:m:1
rate() { lvs -L -n --rate -u 10.1.0.103:80 | awk '/^UDP/ { print $(NF - 4) + $(NF - 3) }'; }
must set_to run_estimation 0
client load rated udp 10.1.0.103 80 1 0.01 >/dev/null
sleep 6
check_eq 'run_estimation 0: the rates are 0' "$(rate)" 0
must set_to run_estimation 1
check 'run_estimation 1: the rates are updated' wait_for 10 eval '[ "$(rate)" -gt 0 ]'
check_match 'run_estimation: no packet is lost' "$(client stop rated)" 'A=[0-9]+'
finish
