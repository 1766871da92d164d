#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Connection synchronization between this director and the C director, on two machines: one kernel
# cannot have both. Each is the master once and the backup once.
# timeout: 300
# machines: 2
# kernel: stock, because the debug kernel has no wire to another machine

# Functions are called by name; awk has variables of its own.
# shellcheck disable=SC2016,SC2317
# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/kselftest/machines.sh
. "$here/machines.sh"

# Both directors are configured by the same command, so that listings can be compared.
LVSADM=ipvsadm

# director_ready: a director with a service for each kind of connection, and a wire to the other
# one.
director_ready() {
	local vip
	topology_down
	unload_all ip_vs
	unload_all ipvs_rs
	must module_load "$IPVS_MODULE"
	must modprobe sctp
	topology_up
	wire 3 director eth2
	{
		echo "address add 10.5.0.$MACHINE/24 dev eth2"
		echo "address add fd00:0:0:5::$MACHINE/64 dev eth2"
	} | batch -n director
	# C's meaning of the first number is that of packets, so both send UDP connections at once.
	sysctls director net.ipv4.vs.sync_threshold='0 1'
	must on director nft 'table inet marks { chain pre { type filter hook prerouting priority mangle;
		ip daddr 10.4.0.1 meta mark set 1; ip6 daddr fd00:0:0:4::1 meta mark set 1; }; }'
	for vip in 10.1.0.100 "[$(six 10.1.0.100)]"; do
		service -t "$vip:80" rr -- A:m:1 B:i:1 C:g:1
		service -u "$vip:80" rr -- A:m:1 B:i:1 C:g:1
		service -t "$vip:8000" rr -p 300 -- A:m:1 B:i:1
		service --sctp-service "$vip:80" rr -- A:m:1 B:i:1
	done
	service -t 10.1.0.101:0 rr -p 300 -- A:m:1:0 B:g:1:0
	service -f 1 rr -p 300 -- A:g:1 B:g:1
	service -f '1 -6' rr -p 300 -- A:g:1 B:g:1
}

# daemon ROLE [OPTION…]
daemon() {
	must on director ipvsadm --start-daemon "$1" --mcast-interface eth2 --syncid 7 "${@:2}"
}

# The connections and templates. The C director calls a template ASSURED if a connection was
# established, and shows the mark of a template for IPv6 as an IPv6 address.
listing() {
	on director awk 'NR > 1 {
		sub(/ASSURED/, "NONE", $8)
		if ($1 == "IP") $4 = "mark"
		print $1, $2, $3, $4, $5, $6, $7, $8
	}' /proc/net/ip_vs_conn | sort
}
# The connections at each real server, as the administrator's command counts them.
counts() {
	on director ipvsadm -L -n | awk '
		/^(TCP|UDP|FWM) / { service = $1 $2 }
		$1 == "->" && $2 ~ /[0-9]/ { print service, $2, $3, $5, $6 }' | sort
}
are_equal() { [ "$(listing)" = "$(second listing)" ]; }

# sctp_up: the real servers also serve SCTP, A by NAT and B by TUN.
sctp_up() {
	local row host address
	sctp_pids=() associations=()
	for row in A/10.2.0.11 A/fd00:0:0:2::11 B/10.1.0.100 B/fd00:0:0:1::100; do
		host=${row%%/*} address=${row#*/}
		launch "$work/sctp" ready on "$host" python3 "$here/sctp.py" serve "$host" "$address" 80
		sctp_pids+=("$launched")
	done
}
# associate NAME ADDRESS: opens an association that stays open, and sets `answer` to its server.
associate() {
	takes_orders "$1" client sctp.py hold "$2" 80
	associations+=("$1")
	IFS= read -r -t 30 answer <&"${ask_out[$1]}"
}
# associations ORDER: gives it to each association.
associations() {
	local name
	for name in "${associations[@]}"; do ask "$name" "$1" >/dev/null; done
}

# feeds MASTER BACKUP [OPTION…]: the director of this machine feeds that of the other one. The
# options are those of both daemons.
feeds() {
	local IPVS_MODULE family vip marked protocol servers n name title="$1 feeds $2${3:+ ($3)}"
	IPVS_MODULE=$2
	must second "$(declare -f director_ready daemon listing counts)
		MACHINE=2 IPVS_MODULE=$2 LVSADM=ipvsadm; director_ready; daemon backup ${*:3}"
	IPVS_MODULE=$1
	director_ready
	daemon master "${@:3}"
	client_up "$1"
	servers_up A B C
	sctp_up
	for family in 4 6; do
		vip=10.1.0.100 marked=10.4.0.1
		[ $family = 4 ] || vip=$(six $vip) marked=$(six $marked)
		for protocol in tcp udp; do
			check_match "$title, IPv$family, $protocol: connections by every method" "$(ask "$1" hold "$protocol" $protocol "$vip" 80 3)" '[ABC] [ABC] [ABC]'
		done
		must ask "$1" hold tcp tcp "$vip" 8000 2
		must ask "$1" hold tcp tcp "$marked" 80 2
		servers=
		for n in 1 2; do
			associate "$1.$family.$n" "$vip"
			servers+=$answer
		done
		check_eq "$title, IPv$family, sctp: associations by NAT and TUN" "$servers" AB
	done
	must ask "$1" hold tcp tcp 10.1.0.101 80 1
	# The C director sends a connection with its third packet and every one after it.
	must ask "$1" again tcp
	must ask "$1" again udp
	associations say
	wait_for 20 are_equal
	check_eq "$title: both list the same connections and templates" "$(second listing)" "$(listing)"
	check_eq "$title: they are those of TCP, UDP and SCTP, of services and of marks" \
		"$(second listing | awk '{ print $1, $8 }' | sort | uniq -c | xargs)" '2 IP NONE 4 SCTP ESTABLISHED 15 TCP ESTABLISHED 3 TCP NONE 6 UDP UDP'
	check_eq "$title: both count them at the same real servers" "$(second counts)" "$(counts)"
	must ask "$1" close tcp
	associations close
	wait_for 20 are_equal
	check_eq "$title: the backup follows the end of connections" "$(second listing)" "$(listing)"
	check_eq "$title: the backup follows the end of associations" "$(second listing | awk '$1 == "SCTP" { print $8 }' | sort -u)" CLOSED
	for name in "$1" "${associations[@]}"; do
		kill "${ask_pid[$name]}"
		unset "ask_pid[$name]"
	done
	kill "$servers_pid" "${sctp_pids[@]}"
	servers_pid=
	rm -f "$work/servers"
}

second_up
feeds ip_vs ipvs_rs
feeds ipvs_rs ip_vs --mcast-group ff02::82 --mcast-port 8900 --sync-maxlen 1400
second_leaves
finish
