#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Memory accounting: the memory controller charges the entries and buckets of a container's director
# to the container. At the limit of the container, its director refuses new connections, and the
# host continues undisturbed.
# timeout: 150
# check: debug, because sums do not depend on the kernel

# Functions are called through check; awk programs are in single quotes.
# shellcheck disable=SC2317,SC2016
# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"

mkdir "$work/cgroup"
must mount -t cgroup2 none "$work/cgroup"
grep -qw memory "$work/cgroup/cgroup.controllers" || bail 'this kernel has no memory controller'
must sh -c "echo +memory >'$work/cgroup/cgroup.subtree_control'"
group=$work/cgroup/container
must mkdir "$group"

must module_load "$IPVS_MODULE"
topology_up
client_up client client 10.0.0.1
servers_up A B C
# The first command comes from the container, so the container pays for the director.
must sh -c "echo \$\$ >'$group/cgroup.procs'; exec on director $LVSADM -A -u 10.1.0.100:80 -s rr"
must lvs -a -u 10.1.0.100:80 -r 10.2.0.11:80 -m

# status NAME: prints a number in /proc/net/ip_vs_status.
status() { on director sed -n "s/^$1:\t//p" /proc/net/ip_vs_status; }
slab() { awk '$1 == "slab" { print $2 }' "$group/memory.stat"; }
# flood PORT: sends flows to a port in the background until it is stopped.
flood() {
	on client python3 "$here/flows.py" 10.1.0.100 "$1" &
	flows=$!
}
end_flood() {
	kill $flows
	wait $flows 2>/dev/null
}

before=$(slab)
flood 80
many() { [ "$(status Conns)" -ge 1900 ]; }
check 'the container opens many connections' wait_for 60 many
# The kernel updates the file within two seconds.
charged() { [ $(($(slab) - before)) -ge $((1900 * 128)) ]; }
check 'the entries are charged to the container' wait_for 30 charged
note "$(status Conns) connections, $(($(slab) - before)) bytes"
end_flood

# A limit just above the present use.
must lvs -A -u 10.1.0.100:8080 -s rr
must lvs -a -u 10.1.0.100:8080 -r 10.2.0.11:80 -m
used=$(cat "$group/memory.current")
must sh -c "echo $((used + 65536)) >'$group/memory.max'"
flood 8080
refused() { [ "$(status 'Conns refused')" -gt 100 ]; }
check 'new connections are refused at the limit of the container' wait_for 60 refused
check 'the container stays at its limit' test "$(cat "$group/memory.current")" -le $((used + 2 * 65536))
drops() { lvs -L -n --stats --json | jq '[.services[].drops["no-memory"] // 0] | add'; }
check 'the refused connections are counted as dropped' test "$(drops)" -gt 100
end_flood

# The host is not affected: another payer is charged for a director that the host created.
must ip netns add other
within() { on other "$@"; }
must within ip link set lo up
must within "$LVSADM" -A -u 127.0.0.1:80 -s rr
must within "$LVSADM" -a -u 127.0.0.1:80 -r 127.0.0.1:81 -g
datagrams='import socket
for _ in range(20):
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", 80))'
must within python3 -c "$datagrams"
check_eq 'a director of the host has connections' "$(within sed -n 's/^Conns:\t//p' /proc/net/ip_vs_status)" 20
must ip netns del other
must sh -c "echo max >'$group/memory.max'"
check_eq 'clients are served once the limit is removed' "$(client get udp 10.1.0.100 80 3)" 'A A A'

flush
topology_down
unload_all "$IPVS_MODULE"
# A cgroup can be removed only after its pages are freed.
check 'the cgroup of the container can be removed' wait_for 30 rmdir "$group"
must umount "$work/cgroup"
finish
