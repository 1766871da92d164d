#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# FTP through NAT with real servers (vsftpd) and clients (curl): the four commands over both
# families, uploads and listings, several transfers on one control connection, replies that get
# longer and shorter, two servers that wait at the same port, losses, and what a helper must refuse.
# The C director runs the transfers as well.
# timeout: 240
# check: debug, because sync.test.sh has FTP on the stock kernel

# Functions are called through eval and wait_for.
# shellcheck disable=SC2016,SC2086,SC2317
# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"

unload_all "$IPVS_MODULE"
drop_in
must module_load "$IPVS_MODULE"
topology_up
sysctls client net.ipv4.tcp_syn_retries=3
vip=10.1.0.100
six=$(six $vip)
ours() { [ "$IPVS_MODULE" != ip_vs ]; }
status() { on director sed -n "s/^$1:\t//p" /proc/net/ip_vs_status; }

# --- servers --------------------------------------------------------------------------------------

# ftp_up HOST PORTS [SETTING…]: a server with anonymous access. It waits for data connections at
# these ports. Its file "who" has the name of the host.
ftp_pids=()
ftp_up() {
	local host=$1 ports=$2 root=$work/ftp/$1
	shift 2
	mkdir -p "$root/in" /run/vsftpd/empty
	echo "$host" >"$root/who"
	head -c 300000 /dev/urandom >"$root/small"
	chmod 755 "$work" "$work/ftp" "$root"
	chmod 733 "$root/in"
	printf '%s\n' listen=NO listen_ipv6=YES background=NO anonymous_enable=YES local_enable=NO write_enable=YES \
		anon_upload_enable=YES anon_other_write_enable=YES anon_umask=022 "anon_root=$root" seccomp_sandbox=NO \
		isolate_network=NO connect_from_port_20=YES pasv_min_port="${ports%-*}" pasv_max_port="${ports#*-}" \
		secure_chroot_dir=/run/vsftpd/empty xferlog_enable=NO "$@" >"$work/ftp/$host.conf"
	chmod 644 "$work/ftp/$host.conf"
	on "$host" vsftpd "$work/ftp/$host.conf" >"$work/ftp/$host.log" 2>&1 &
	ftp_pids+=($!)
	wait_for 20 on "$host" sh -c "ss -Hlnt 'sport = :21' | grep -q ." || bail "vsftpd on $host: $(cat "$work/ftp/$host.log")"
}
ftp_down() {
	[ ${#ftp_pids[@]} = 0 ] || kill "${ftp_pids[@]}" 2>/dev/null
	wait "${ftp_pids[@]}" 2>/dev/null
	ftp_pids=()
	return 0
}
trap 'ftp_down; clean_up' EXIT
# get OPTIONS URL…: fetches files over one control connection. Prints curl's errors behind them. If
# there are errors, `told` gets the whole conversation, and what may have kept a packet.
told=$work/told
get() {
	local host
	on client curl -sSv --trace-time --max-time $((15 * TIME_SCALE)) "$@" 2>"$work/talk"
	grep -a '^curl: ' "$work/talk" || return 0
	{
		printf 'curl %s\n' "$*"
		tail -n 80 "$work/talk"
		lvs -Lcn
		for host in router director; do on $host ip neighbor; done
		for host in client A; do on $host ss -tanH; done
	} >>"$told" 2>&1
}
# arrives NAME GOT WANTED: as check_eq, for what `get` prints. It explains a transfer that failed.
arrives() {
	[ ! -s "$told" ] || note "$(cat "$told")"
	rm -f "$told"
	check_eq "$@"
}
sum() { md5sum | cut -d' ' -f1; }
modes4=('PASV --disable-epsv' 'EPSV --ftp-pasv' 'PORT --ftp-port - --disable-eprt' 'EPRT --ftp-port -')
modes6=('EPSV --ftp-pasv' 'EPRT --ftp-port -')

for host in A B C; do ftp_up $host 40000-40100; done
small() { sum <"$work/ftp/$1/small"; }

# --- the helper -----------------------------------------------------------------------------------

if ours; then
	check_eq 'without a helper, ip_vs_app has only its heading' "$(on director cat /proc/net/ip_vs_app)" 'prot port    usecnt name'
	service -t $vip:21 rr -- A:m:1
	check 'a service on port 21 loads the helper' loaded ipvs_rs_ftp
else
	must module_load ip_vs_ftp
	service -t $vip:21 rr -- A:m:1
fi
check_eq 'ip_vs_app lists the helper' "$(on director tail -n 1 /proc/net/ip_vs_app | tr -s ' ')" 'TCP 21 0 ftp '

# --- transfers ------------------------------------------------------------------------------------

transfers() {
	local where=$1 title=$2 mode name options
	shift 2
	for mode; do
		read -r name options <<<"$mode"
		arrives "$title, $name: a file arrives" "$(get $options "ftp://$where/small" | sum)" "$(small A)"
		arrives "$title, $name: several transfers on one control connection" \
			"$(get $options "ftp://$where/who" "ftp://$where/who" "ftp://$where/who" | xargs)" 'A A A'
		check_match "$title, $name: a listing arrives" "$(get $options --list-only "ftp://$where/" | xargs)" 'in small who'
		rm -f "$work/ftp/A/in/up"
		get $options -T "$work/ftp/B/small" "ftp://$where/in/up" >"$work/upload"
		arrives "$title, $name: an upload arrives" "$(sum <"$work/ftp/A/in/up")$(cat "$work/upload")" "$(small B)"
	done
}
transfers $vip 'IPv4, longer replies' "${modes4[@]}"
service -t "[$six]:21" rr -- A:m:1
transfers "[$six]" 'IPv6' "${modes6[@]}"
service -t 10.1.0.1:21 rr -- A:m:1
transfers 10.1.0.1 'IPv4, shorter replies' 'PASV --disable-epsv' 'EPSV --ftp-pasv'
flush

# --- the entries ----------------------------------------------------------------------------------

# talk_up opens a control connection, `say COMMAND` sends a command and prints the replies, and
# `hang_up` closes the connection.
talk_up() {
	mkfifo "$work/say"
	: >"$work/heard" # as in launch
	on client socat -t 1 "TCP:$vip:21" - <"$work/say" >"$work/heard" 2>&1 &
	talk_pid=$!
	exec 7>"$work/say"
	wait_for 10 grep -q '^220' "$work/heard" || bail "no greeting: $(cat "$work/heard")"
}
say() {
	local lines
	lines=$(wc -l <"$work/heard")
	printf '%s\r\n' "$1" >&7
	wait_for 10 eval "[ \$(wc -l <'$work/heard') -gt $lines ]"
	tail -n +$((lines + 1)) "$work/heard" | tr -d '\r'
}
hang_up() {
	exec 7>&-
	wait "$talk_pid" 2>/dev/null
	rm -f "$work/say"
}
# The client's data connections that are not open yet: virtual port, server and state.
entries() { on director awk '$2 == "0A000001" && $5 != "0015" && $8 == "LISTEN" { print $3 == "0000" ? "any" : "port", $4, $5, $6, $7, $8 }' /proc/net/ip_vs_conn; }

service -t $vip:21 rr -- A:m:1
used() { on director awk 'NR == 2 { print $3 }' /proc/net/ip_vs_app; }
used=$(used)
talk_up
check_match 'a control connection works' "$(say 'USER anonymous')" '331 .*'
check_match 'a client logs in' "$(say 'PASS x')" '230 .*'
reply=$(say PASV)
check_match 'a reply names the virtual address' "$reply" '227 .*\(10,1,0,100,156,[0-9]+\)\.?'
low=${reply##*156,}
low=${low%%')'*}
port=$(printf '%04X' $((0x9C00 + low)))
check_eq 'the client is expected at that port' "$(entries)" "any 0A010064 $port 0A02000B $port LISTEN"
ours && check_fails 'the helper cannot be unloaded while a control connection uses it' 'in use' rmmod ipvs_rs_ftp
check_eq 'ip_vs_app counts the control connection' $(($(used) - used)) 1
check_match 'a port of the client is accepted' "$(say 'PORT 10,0,0,1,200,1')" '200 .*'
check_eq 'the server is expected at that port' "$(entries | grep ^port)" 'port 0A010064 0014 0A02000B 0014 LISTEN'

if ours; then
	refused=$(status 'Helper refused')
	check_match 'the server itself refuses a bounce' "$(say 'PORT 10,0,0,2,200,2')" '500 .*'
	check_match 'the server itself refuses a low port' "$(say 'EPRT |1|10.0.0.1|80|')" '500 .*'
	check_eq 'the helper refuses and counts both' "$(($(status 'Helper refused') - ${refused:-0}))" 2
	check_eq 'they leave no entry' "$(entries | grep -c ^port)" 1
	for n in 1 2 3 4 5 6 7 8 9 10; do say PASV >/dev/null; done
	check_match 'a control connection has at most eight expectations' "$(entries | grep -c ^any)" '[1-8]'
fi
hang_up
if ours; then
	# The port is not open any more: the host answers with a reset.
	check_match 'expectations end with their control connection' \
		"$(on client curl -sS --max-time 5 "http://$vip:$((16#$port))/" 2>&1)" '.*(refused|Couldn.t connect|Failed to connect).*'
fi
flush

# --- a transfer keeps its control connection ------------------------------------------------------

# The server has only one port for transfers. So this transfer has the port that the server had
# announced to an earlier control connection, which never used it.
ftp_down
ftp_up A 40000-40000
service -t $vip:21 rr -- A:m:1
if ours; then
	talk_up
	say 'USER anonymous' >/dev/null
	say 'PASS x' >/dev/null
	check_match 'the only port of a server is announced' "$(say PASV)" '227 .*\(10,1,0,100,156,64\)\.?'
	hang_up
fi
must lvs --set 3 0 0
head -c 1500000 /dev/urandom >"$work/ftp/A/slow"
# Reads for ten seconds, with a small buffer, so that the server writes for about as long.
on client python3 - "$vip" >"$work/slow" 2>"$work/slow.told" <<'END' &
import ftplib, socket, sys, time
out, sys.stdout = sys.stdout.buffer, sys.stderr
ftp = ftplib.FTP(timeout=20)
ftp.set_debuglevel(1)
ftp.connect(sys.argv[1])
ftp.login()
data = ftp.transfercmd("RETR slow")
data.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
began = time.monotonic()
while piece := data.recv(150000, socket.MSG_WAITALL):
    out.write(piece)
    time.sleep(1)
data.close()
print(f"data for {time.monotonic() - began:.1f} s")
ftp.voidresp()
ftp.retrbinary("RETR who", out.write)
END
slow=$!
sleep 1
if ours; then
	must lvs -e -t $vip:21 -r 10.2.0.11 -m -w 0
fi
wait $slow || {
	note "$(cat "$work/slow.told")"
	for host in client router director A; do note "$host: $(ip -n $host -s neighbor show | grep -v REACHABLE)"; done
	note "$(on director cat /proc/net/ip_vs_conn /proc/net/ip_vs_status | grep -v buckets)"
}
check_eq 'a control connection outlives its timeout during a transfer, also with weight 0' "$(head -c 1500000 "$work/slow" | sum) $(tail -c 2 "$work/slow")" \
	"$(sum <"$work/ftp/A/slow") A"
must lvs --set 900 120 300
flush

# --- two servers that wait at the same port -------------------------------------------------------

ftp_down
# 19,255 and the next one, 20,0, have texts of different lengths.
for host in A B; do ftp_up $host 5119-5119; done
service -t $vip:21 rr -- A:m:1 B:m:1
if ours; then
	talk_up
	say 'USER anonymous' >/dev/null
	say 'PASS x' >/dev/null
	first=$(say PASV)
	# Another program of the same client gets the other server.
	must lvs -e -t $vip:21 -r 10.2.0.11 -m -w 0
	for mode in --disable-epsv --ftp-pasv; do
		arrives "a second control connection of the client gets the data of its own server ($mode)" \
			"$(get $mode "ftp://$vip/who" "ftp://$vip/who" | xargs)" 'B B'
	done
	check_match 'the first one has the port of its server' "$first" '227 .*\(10,1,0,100,19,255\)\.?'
	hang_up
fi
flush
ftp_down

# --- TUN and DR -----------------------------------------------------------------------------------

# The director sees no replies. A persistent service on port 21 leads the client's data connections
# to the server of its template: those to unprivileged ports, and answers to servers that open a
# connection from port 20.
for host in A B; do ftp_up $host 40000-40100; done
# data MODE: two clients fetch files by each command.
data() {
	local mode name options
	for mode in "${modes4[@]}"; do
		read -r name options <<<"$mode"
		printf '%s %s ' "$name" "$(get ${options/ftp-port -/ftp-port 10.0.0.1} --interface 10.0.0.1 "ftp://$vip/who" "ftp://$vip/who" | xargs)"
		printf '%s ' "$(get ${options/ftp-port -/ftp-port 10.0.0.2} --interface 10.0.0.2 "ftp://$vip/who" | xargs)"
	done
}
for row in 'g DR' 'i TUN'; do
	read -r method title <<<"$row"
	service -t $vip:21 rr -p 300 -- A:"$method":1 B:"$method":1
	arrives "$title: persistent clients transfer by all commands" "$(data)" \
		'PASV A A B EPSV A A B PORT A A B EPRT A A B '
	# Clients without a template, and ports of services, are left alone.
	check_match "$title: another client's packet to a port without a service goes to the host" \
		"$(on client curl -sS --max-time 5 --interface 10.0.0.3 http://$vip:40000/ 2>&1)" '.*(refused|Couldn.t connect|Failed to connect).*'
	check_match "$title: a persistent client's packet to a port of services goes to the host" \
		"$(on client curl -sS --max-time 5 --interface 10.0.0.1 http://$vip:81/ 2>&1)" '.*(refused|Couldn.t connect|Failed to connect).*'
	flush
	service -t $vip:21 rr -- A:"$method":1
	check_match "$title: without persistence there are no transfers" "$(on client curl -sS --ftp-pasv --interface 10.0.0.4 --max-time 5 "ftp://$vip/who" 2>&1)" 'curl: .*'
	flush
done
ftp_down

# --- losses ---------------------------------------------------------------------------------------

if modprobe sch_netem 2>/dev/null; then
	ftp_up A 40000-40100
	service -t $vip:21 rr -- A:m:1
	must on A tc qdisc add dev eth1 root netem loss 5% delay 5ms reorder 20%
	must on client tc qdisc add dev eth0 root netem loss 5% delay 5ms reorder 20%
	for mode in "${modes4[@]}"; do
		read -r name options <<<"$mode"
		arrives "$name: files arrive over a bad link" "$(get --max-time 60 $options "ftp://$vip/who" "ftp://$vip/small" "ftp://$vip/who" | sum)" \
			"$(cat "$work/ftp/A/who" "$work/ftp/A/small" "$work/ftp/A/who" | sum)"
	done
	must on A tc qdisc del dev eth1 root
	must on client tc qdisc del dev eth0 root
	flush
	ftp_down
fi

if ours; then
	must on director lvsadm connections --client 10.0.0.1 --kill
	for n in 1 2 3 4; do must on director lvsadm connections --client fd00::$n --kill; done
	check_soon 'no control connection is left' 0 used
	check 'the helper can be unloaded when nobody uses it' wait_for 20 rmmod ipvs_rs_ftp
fi

# --- other ports ----------------------------------------------------------------------------------

# The module is loaded by the name of the C director's.
unload_all "$IPVS_MODULE"
must module_load "$IPVS_MODULE"
helper=${IPVS_MODULE}_ftp
check_fails 'a list of nine ports is refused' 'Invalid' modprobe "$helper" ports=1,2,3,4,5,6,7,8,9
check_fails 'a port above 65535 is refused' 'out of range|Invalid' modprobe "$helper" ports=65536
must modprobe ip_vs_ftp ports=2121,21
check_eq 'the parameter can be read' "$(cat "/sys/module/$helper/parameters/ports")" 2121,21
check_eq 'ip_vs_app lists both ports' "$(on director tail -n +2 /proc/net/ip_vs_app | awk '{ print $1, $2, $4 }' | sort | xargs)" 'TCP 21 ftp TCP 2121 ftp'
ftp_up A 40000-40100
must lvs -A -t $vip:2121 -s rr
must lvs -a -t $vip:2121 -r 10.2.0.11:21 -m
service -t $vip:21 rr -- A:m:1
for mode in "${modes4[@]}"; do
	read -r name options <<<"$mode"
	arrives "a service on a port of the list, $name: files arrive" "$(get $options "ftp://$vip:2121/who" "ftp://$vip:2121/who" | xargs)" 'A A'
	arrives "a service on port 21 beside it, $name: files arrive" "$(get $options "ftp://$vip/who" | xargs)" 'A'
done
flush
ftp_down
finish
