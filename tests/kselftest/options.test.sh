#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Packets with IP options, by every method. They are served, and ICMP errors about them (too large,
# TTL expired) carry options of their own packet, never of another.
# timeout: 90
# check: debug, because choices do not depend on the kernel

# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"

unload_all "$IPVS_MODULE"
must module_load "$IPVS_MODULE"
topology_up
for host in router director; do
	sysctls $host net.ipv4.icmp_ratelimit=0 net.ipv4.icmp_msgs_per_sec=100000
done
servers_up A B C
rows=('m NAT 10.1.0.100' 'i TUN 10.1.0.101' 'g DR 10.1.0.102')
for row in "${rows[@]}"; do
	read -r method title vip <<<"$row"
	service -u "$vip:80" rr -- A:"$method":1
done

# ask_with OPTIONS ADDRESS OCTETS TTL: sends three datagrams with these options (a name below) from
# one socket. Prints the answers or the error, then the MTU that the client knows for the address.
ask_with() {
	on client python3 - "$@" <<-'END'
		import errno, socket, sys, time
		name, address, octets, ttl = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
		options = {
		    "none": b"",
		    "nops": b"\x01" * 4,
		    # Record route and timestamp, with the maximum of room.
		    "route": b"\x07\x27\x04" + bytes(36) + b"\x00",
		    "time": b"\x44\x28\x05\x00" + bytes(36),
		}[name]
		sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
		sock.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, options)
		sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
		sock.setsockopt(socket.IPPROTO_IP, 10, 2)  # IP_MTU_DISCOVER: always DF
		sock.setsockopt(socket.IPPROTO_IP, 11, 1)  # IP_RECVERR
		sock.connect((address, 80))
		sock.settimeout(3)
		answers = []
		for _ in range(3):
		    try:
		        sock.send(bytes(octets))
		        answers.append(sock.recv(65536)[:1].decode())
		    except OSError as error:
		        answers.append(errno.errorcode.get(error.errno, "timeout"))
		    time.sleep(0.05)
		print(*answers, sock.getsockopt(socket.IPPROTO_IP, 14))
	END
}

for row in "${rows[@]}"; do
	read -r _ title vip <<<"$row"
	for options in none nops route time; do
		check_eq "$title, $options: datagrams are served" "$(ask_with $options "$vip" 32 64)" 'A A A 1500'
	done
done
# The router and the director: two hops.
for row in "${rows[@]}"; do
	read -r _ title vip <<<"$row"
	for options in none nops route time; do
		check_match "$title, $options: the client learns that the TTL expired" "$(ask_with $options "$vip" 32 2)" 'EHOSTUNREACH( EHOSTUNREACH)* 1500'
	done
done
# 40 octets of options and 28 of headers make 1500 in all. The tunnel takes 20 of them.
for options in route time; do
	check_match "TUN, $options: the client learns that the packet is too large" "$(ask_with $options 10.1.0.101 1432 64)" 'EMSGSIZE( EMSGSIZE)* 1480'
	check_eq "TUN, $options: a packet that fits the tunnel is served" "$(ask_with $options 10.1.0.101 1412 64)" 'A A A 1480'
	must ip -n client route flush cache
done
finish
