#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Connection synchronization between two directors in namespaces of one machine. Listings on both
# sides are equal. Clients continue when the other director takes over.
# timeout: 200

# Functions are called by name; awk has variables of its own.
# shellcheck disable=SC2016,SC2317
# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"

unload_all "$IPVS_MODULE"
must module_load "$IPVS_MODULE"
topology_up
# The client has more than a thousand connections.
ulimit -n 4096
client_up client
client_up second client 10.0.0.2
servers_start A B C

ours() { [ "$IPVS_MODULE" != ip_vs ]; }

# shellcheck source=tests/kselftest/second_director.sh
. "$here/second_director.sh"
second_director_up
for host in director other; do
	# C's meaning of the first number is that of packets, so both send UDP connections at once.
	sysctls "$host" net.ipv4.vs.sync_threshold='0 1'
	must on "$host" nft -f - <<-'END'
		table inet marks {
			chain pre {
				type filter hook prerouting priority mangle;
				ip daddr 10.4.0.1 meta mark set 1
				ip6 daddr fd00:0:0:4::1 meta mark set 1
			}
		}
	END
done

# services DIRECTOR: one for each kind of connection.
services() {
	local DIRECTOR=$1 vip
	for vip in 10.1.0.100 "[$(six 10.1.0.100)]"; do
		service -t "$vip:80" rr -- A:m:1 B:i:1 C:g:1
		service -u "$vip:80" rr -- A:m:1 B:i:1 C:g:1
		service -t "$vip:8000" rr -p 300 -- A:m:1 B:i:1
	done
	service -t 10.1.0.101:0 rr -p 300 -- A:m:1:0 B:g:1:0
	service -f 1 rr -p 300 -- A:g:1 B:g:1
	service -f '1 -6' rr -p 300 -- A:g:1 B:g:1
}

# --- starting and stopping ------------------------------------------------------------------------

daemons() { daemon "$1" -L --daemon | xargs; }
check_eq 'no daemon runs at first' "$(daemons director)" ''
check_fails 'a daemon on no interface is refused' 'no such device|interface' daemon director --start-daemon master --mcast-interface nothing
check_fails 'a daemon that does not run is not stopped' 'run' daemon director --stop-daemon backup
check 'a master starts' daemon director --start-daemon master --mcast-interface eth2 --syncid 7
check_eq 'the master has the defaults of the protocol' "$(daemons director)" \
	'master sync daemon (mcast=eth2, syncid=7, maxlen=1472, group=224.0.0.81, port=8848, ttl=1)'
check_fails 'a second master is refused' 'exist|run' daemon director --start-daemon master --mcast-interface eth2
check 'a backup with all options starts beside it' daemon director --start-daemon backup --mcast-interface eth2 --syncid 8 \
	--sync-maxlen 1400 --mcast-group ff02::82 --mcast-port 8900 --mcast-ttl 3
check_eq 'both are listed' "$(daemons director)" \
	'master sync daemon (mcast=eth2, syncid=7, maxlen=1472, group=224.0.0.81, port=8848, ttl=1) backup sync daemon (mcast=eth2, syncid=8, maxlen=1400, group=ff02::82, port=8900, ttl=3)'
check_eq 'another namespace has no daemon' "$(daemons other)" ''
must daemon director --stop-daemon backup
must daemon director --stop-daemon master
check_eq 'stopped daemons are not listed' "$(daemons director)" ''

# --- connections ----------------------------------------------------------------------------------

services director
services other
servers_up A B C
must daemon other --start-daemon backup --mcast-interface eth2 --syncid 7
must daemon director --start-daemon master --mcast-interface eth2 --syncid 7

for family in 4 6; do
	vip=10.1.0.100 marked=10.4.0.1
	[ $family = 4 ] || vip=$(six $vip) marked=$(six $marked)
	for protocol in tcp udp; do
		check_match "IPv$family, $protocol: connections by every method" "$(client hold "$protocol" $protocol "$vip" 80 3)" '[ABC] [ABC] [ABC]'
	done
	must client hold tcp tcp "$vip" 8000 2
	must ask second hold tcp tcp "$vip" 8000 1
	must client hold tcp tcp "$marked" 80 2
done
must client hold tcp tcp 10.1.0.101 80 1
must client hold tcp tcp 10.1.0.101 8000 1
check_same 'the backup has the connections and templates of the master'
check_eq 'these are connections of TCP and UDP and templates of services and marks' \
	"$(listed other | awk '{ print $1, $8 }' | sort | uniq -c | xargs)" '2 IP ASSURED 5 TCP ASSURED 18 TCP ESTABLISHED 6 UDP UDP'
for option in '-t 10.1.0.100:80' '-u 10.1.0.100:80' '-t 10.1.0.100:8000' '-f 1'; do
	check_eq "the backup counts them at its real servers ($option)" \
		"$(DIRECTOR=other connections "${option% *}" "${option#* }")" "$(connections "${option% *}" "${option#* }")"
done

origins() { on "$1" awk 'NR > 1 { print $9 }' /proc/net/ip_vs_conn_sync | sort | uniq -c | xargs; }
check_eq 'the origin of its entries is the other director' "$(origins director), $(origins other)" '31 LOCAL, 31 SYNC'

client close udp >/dev/null
must client hold gone tcp 10.1.0.100 80 3
must client close gone
check_same 'the backup follows the end of connections'

if ours; then
	sysctls director net.ipv4.vs.sync_refresh_period=2
	check_match 'a backup loses connections' "$(daemon other connections --client 10.0.0.1 --kill)" 'removed: [1-9][0-9]*'
	check_same 'the sweep of the master brings them back'

	# Losses for a minute, while connections begin and end.
	sysctls director net.ipv4.vs.sync_refresh_period=5
	modprobe sch_netem 2>/dev/null
	must tc -n director qdisc add dev eth2 root netem loss 30%
	before=$(on director sed -n 's/^Sync datagrams sent:\t//p' /proc/net/ip_vs_status)
	received=$(on other sed -n 's/^Sync datagrams received:\t//p' /proc/net/ip_vs_status)
	for ((n = 0; n < 12; n++)); do
		must client hold lossy tcp 10.1.0.100 80 3
		must client hold lossy$n tcp 10.1.0.100 80 1
		[ $n -lt 2 ] || must client close lossy$((n - 2))
		sleep 5
	done
	sent=$(($(on director sed -n 's/^Sync datagrams sent:\t//p' /proc/net/ip_vs_status) - before))
	received=$(($(on other sed -n 's/^Sync datagrams received:\t//p' /proc/net/ip_vs_status) - received))
	# Of 60, 18 are lost on average, and fewer than four in less than two of a million runs.
	check "datagrams are lost for a minute ($received of $sent arrive)" test "$received" -lt $((sent - 3))
	must tc -n director qdisc del dev eth2 root
	sleep 6
	check_eq 'one sweep later, the backup has everything' "$(listed other)" "$(listed director)"
	must client close lossy10
	must client close lossy11
	must client close lossy
	sysctls director net.ipv4.vs.sync_refresh_period=0
fi

# --- a handover -----------------------------------------------------------------------------------

# A change waits up to 20 ms for others, and a datagram for the backup's thread. With VRRP either
# director may be the first.
if ours; then
	for first in master backup; do
		check_eq "a master and a backup that stop lose no connection of the last moment ($first first)" \
			"$(python3 "$here/daemons.py" handover 10.1.0.100 80 200 $first)" 200
		check_eq 'a stopped backup is not listed' "$(daemons other)" ''
		if [ $first = backup ]; then
			sleep 3
			received=$(status 'datagrams received')
			must on director python3 "$here/datagrams.py" eth2 0007000800010000
			sleep 1
			check_eq 'soon a stopped backup takes nothing' "$(status 'datagrams received')" "$received"
		fi
		must daemon other --start-daemon backup --mcast-interface eth2 --syncid 7
		must daemon director --start-daemon master --mcast-interface eth2 --syncid 7
		check_same 'the backup has the connections of a master that starts again'
	done
fi

# --- foreign and hostile datagrams ----------------------------------------------------------------

# The directors do not hear each other's datagrams through the wire, but those of a program.
send() { must on director python3 "$here/datagrams.py" eth2 "$@"; }
entries() { on other awk -v server="$1" '$6 == server { print $1, $3, $5, $7, $8 }' /proc/net/ip_vs_conn | sort | xargs; }

# Captured from the C director, except for the syncid: a UDP connection and its template, a TCP
# connection of a firewall mark and its template; then version 0.
c_udp=0007005002010000001100240000018300009c7300350035000000000000012c0a0900010a0900010a09000100110024000011830000000000350035000000000000003c0a0900010a0900010a090001
c_tcp=000700500201000000000024000011830000000000000000000000070000003c0a090001000000070a090001
c_tcp+=000600240000000300019c5f0051005100000007000003840a0900010a0900010a090001
if ours; then
	send $c_udp $c_tcp
	check_soon 'entries of a C director wait for their services' \
		'IP 0000 0000 0000 NONE TCP 9C5F 0051 0051 ESTABLISHED UDP 0000 0035 0035 NONE UDP 9C73 0035 0035 UDP' entries 0A090001
	check_eq 'and are counted' "$(status 'entries without server')" 4
	DIRECTOR=other service -u 10.9.0.1:53 rr -p 60 -- A:m:1
	must daemon other -a -u 10.9.0.1:53 -r 10.9.0.1:53 -g
	check_eq 'a connection is bound when its server is added' \
		"$(daemon other -L -n -u 10.9.0.1:53 | awk '/10.9.0.1:53 / && $1 == "->" { print $5, $6 }')" '0 1'
	send 0009000800010000 0007000800010000 00 0007000900010000 \
		0007002c01010000000600240000200000019c4b0050005000000000000003840a0900010a0900010a090001
	check_soon 'datagrams of another syncid are counted' 1 status 'datagrams of other syncid'
	check_soon 'malformed datagrams are counted' 2 status 'datagrams malformed'
	check_soon 'impossible records are counted' 1 status 'entries refused'
	before=$(daemon other -S -n)
	send random 1000
	check_eq 'random datagrams change no service' "$(daemon other -S -n)" "$before"
	must client hold later tcp 10.1.0.100 80 3
	check_soon 'the backup continues after random datagrams' "$(connections -t 10.1.0.100:8000)" \
		eval 'DIRECTOR=other connections -t 10.1.0.100:8000'
fi

# --- a pair of directors with 1,024 services ------------------------------------------------------

# That is what the paper's authors report of a product ("LinuxDirector", section 7). On the debug
# kernel, since the number does not depend on the kernel and an emulated processor takes minutes.
many() { tr ' ' '\n' | grep -c '^[ABC]$'; }
if [ "${KERNEL_FLAVOUR-stock}" = debug ]; then
	for ((n = 20000; n < 21024; n++)); do
		echo "-A -t 10.1.0.102:$n -s rr"
		echo "-a -t 10.1.0.102:$n -r 10.2.0.1$((n % 3 + 1)):80 -m"
	done >"$work/many"
	for host in director other; do DIRECTOR=$host must lvs -R <"$work/many"; done
	check_eq '1,024 services have a client each' "$(client hold many tcp 10.1.0.102 20000-21023 | many)" 1024
	check_soon 'the backup has all their connections' 1024 on other grep -c '0A010066 4\|0A010066 5' /proc/net/ip_vs_conn
fi

# --- taking over ----------------------------------------------------------------------------------

# An FTP client stays connected. The replies that it sees are longer than those of the server.
if ours; then
	mkdir "$work/ftp"
	echo A >"$work/ftp/who"
	on A python3 -W ignore -m pyftpdlib --interface 10.2.0.11 --port 21 \
		--directory "$work/ftp" >"$work/ftp.log" 2>&1 &
	ftp_pid=$!
	for host in director other; do DIRECTOR=$host service -t 10.1.0.100:21 rr -- A:m:1; done
	wait_for 20 on A sh -c "ss -Hlnt 'sport = :21' | grep -q ." || bail "the FTP server: $(cat "$work/ftp.log")"
	takes_orders ftp client ftp_client.py 10.0.0.3
	check_eq 'an FTP client transfers files' "$(ask ftp login 10.1.0.100) $(ask ftp get who) $(ask ftp get who)" 'in A A'
	check_soon 'the backup has the control connection' ESTABLISHED \
		eval "listed other | awk '\$2 == \"0A000003\" && \$5 == \"0015\" { print \$8 }'"
	# A change waits up to 20 ms for others.
	sleep 1
fi
link_address() { ip -n director -br link show "$1" | awk '{ print $3 }'; }
must daemon other --stop-daemon backup
must ip -n director link set eth0 down
must ip -n director link set eth1 down
for n in 0 1; do must ip -n other link set "eth$n" address "$(link_address "eth$n")"; done
director_up other
check_eq 'clients continue through the other director' "$(client again tcp | tr ' ' '\n' | grep -cv '^[ABC]$')" 0
if [ "${KERNEL_FLAVOUR-stock}" = debug ]; then
	check_eq 'so do those of 1,024 services' "$(client again many | many)" 1024
	client close many >/dev/null
fi
if ours; then
	check_eq 'the FTP client goes on through the other director, and transfers again' "$(ask ftp get who) $(ask ftp get who)" 'A A'
	must ask ftp quit
	kill "$ftp_pid"
	# They would keep the helper loaded.
	for host in director other; do must daemon "$host" connections --client 10.0.0.3 --kill; done
fi
check_match 'a persistent client keeps its server there' "$(client get tcp 10.1.0.100 8000) $(ask second again tcp)" '[AB] [AB] [AB]'

# --- the end --------------------------------------------------------------------------------------

# Daemons change roles again and again, SYNC_TURNS times, while connections begin. Then their
# namespace and their module end.
client load x tcp 10.1.0.100 80 2 >/dev/null
turns=${SYNC_TURNS:-100}
check "the daemons start and stop $turns times" on other python3 "$here/daemons.py" turns eth2 "$turns"
check_match 'no client notices that daemons start and stop' "$(client stop x)" '[ABC]=[0-9]+( [ABC]=[0-9]+)*'
must daemon other --start-daemon master --mcast-interface eth2 --syncid 7
must daemon other --start-daemon backup --mcast-interface eth2 --syncid 7
check 'a namespace ends while both daemons run there' ip netns del other
flush
check 'the module can be unloaded while a daemon runs' unload_all "$IPVS_MODULE"
finish
