#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The module makes the same choices as the simulator. simulator.sequence holds events and, for each
# connection, the server that lvssim chose. A host test of lvssim checks the same file.
# timeout: 600
# kernel: debug, because choices do not depend on the kernel

# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"

must module_load "$IPVS_MODULE"
topology_up
client_up client
servers_up A B C
for n in $(seq 2 25); do
	[ "$n" -le 4 ] || must on client ip address add "10.0.0.$n/32" dev eth0
done
# Services on firewall marks. Each has a port of its own, because connections outlive their service.
must on director nft -f - <<-'END'
	table ip marks {
		chain early {
			type filter hook prerouting priority mangle;
			ip daddr 10.1.0.100-10.1.0.103 tcp dport 8100-8200 meta mark set tcp dport
		}
	}
END

port=8100
scheduler=
wrong=0
connections=0
begun=

# The service is created at its first event after the servers. So all servers are added at once, and
# the sequences of rr and wrr start at the first server.
begin() {
	[ -n "$begun" ] && return
	begun=1
	# shellcheck disable=SC2086
	service -f $port "$scheduler" -- $servers
}

# expect LINE GOT WANTED
expect() {
	[ "$2" = "$3" ] && return
	wrong=$((wrong + 1))
	note "line $1: got    $2"
	note "line $1: wanted $3"
}

# tell: reports the result of the finished scheduler.
tell() {
	[ -z "$scheduler" ] || check_eq "$scheduler: $connections connections are scheduled as the simulator does" \
		"$wrong wrong, $([ $connections -ge 100 ] && echo enough)" '0 wrong, enough'
}

line=0
while read -r event first second rest; do
	line=$((line + 1))
	case $event in
	scheduler)
		tell
		scheduler=$first servers='' begun='' wrong=0 connections=0 vip=10.1.0.100
		port=$((port + 1))
		client from 10.0.0.1 >/dev/null
		;;
	server)
		if [ -z "$begun" ]; then
			servers+=" $first:m:$second:80"
		else
			must destination -a -f $port "$first:m:$second:80"
		fi
		;;
	weight) begin && must destination -e -f $port "$first:m:$second:80" ;;
	delete) begin && must destination -d -f $port "$first:m:1:80" ;;
	from) client from "$first" >/dev/null ;;
	to) vip=$first ;;
	hold)
		begin
		connections=$((connections + second))
		expect $line "$(client hold "$first" tcp "$vip" $port "$second")" "${rest#=> }"
		;;
	close)
		client close "$first" "$second" >/dev/null
		;;
	counts)
		begin
		wanted="$second $rest"
		wait_for 30 eval "[ \"\$(connections -f $port)\" = '$wanted' ]"
		expect $line "$(connections -f $port)" "$wanted"
		;;
	esac
done <"$here/simulator.sequence"
tell
must on director nft delete table ip marks
flush

finish
