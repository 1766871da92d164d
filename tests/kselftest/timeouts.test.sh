#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Timeouts: --set sets them within bounds. Connections expire on time and not before: UDP, idle TCP,
# TCP closed by one side, TCP reset.
# timeout: 150
# kernel: debug, because timeouts do not depend on the kernel

# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"

must module_load "$IPVS_MODULE"
topology_up
client_up client
servers_up A B C

timeouts() {
	lvs -L --timeout | grep -Eo '[0-9]+' | xargs
}
check_eq 'the default timeouts are 900, 120 and 300 s' "$(timeouts)" '900 120 300'
must lvs --set 60 30 20
check_eq '--set changes all three timeouts' "$(timeouts)" '60 30 20'
must lvs --set 0 0 40
check_eq '0 leaves a timeout unchanged' "$(timeouts)" '60 30 40'
check_fails 'a timeout out of range is refused' '.' lvs --set 10 10 99999999999
check_fails 'a negative timeout is refused' '.' lvs --set -1 10 10
check_fails 'a timeout that is not a number is refused' '.' lvs --set ten 10 10
check_eq 'refused timeouts change nothing' "$(timeouts)" '60 30 40'

# shellcheck disable=SC2034 # for wait_for
exact_waits=1
now() {
	local up
	read -r up _ </proc/uptime
	printf '%s' "${up/./}"
}

# expires NAME OPTION ADDRESS COUNTS LEAST MOST: the counts are reached within these bounds, in
# hundredths of a second since `start`.
expires() {
	local took
	if ! wait_for 30 eval "[ \"\$(connections $2 $3)\" = '$4' ]"; then
		note "$(lvs -L -n)"
		report 1 "$1 within 30 s"
		return
	fi
	took=$(($(now) - start))
	note "$1: after $took hundredths of a second"
	# The listing is slow under emulation.
	check "$1" test $took -ge "$5" -a $took -le $(($6 + 100 * TIME_SCALE))
}

service -u 10.1.0.100:80 rr -- A:m:1
service -t 10.1.0.100:80 rr -- A:m:1
service -t 10.1.0.101:80 rr -- A:g:1

must lvs --set 3 4 3
client hold u udp 10.1.0.100 80 1 >/dev/null
start=$(now)
expires 'a UDP connection expires after its timeout' -u 10.1.0.100:80 'A 0/0' 250 500

# Every packet restarts the timeout, also a reply. A slower machine gets a longer timeout, because
# looking takes time.
time_out=$((4 * TIME_SCALE))
must lvs --set 0 0 $time_out
client hold v udp 10.1.0.100 80 1 >/dev/null
sleep $((3 * TIME_SCALE))
client again v >/dev/null
start=$(now)
check_eq 'a UDP connection stays while packets arrive' "$(sleep $((3 * TIME_SCALE)); connections -u 10.1.0.100:80)" 'A 0/1'
expires 'a UDP connection expires once packets stop' -u 10.1.0.100:80 'A 0/0' $((100 * time_out - 50)) $((100 * time_out + 200))

client hold t tcp 10.1.0.100 80 1 >/dev/null
start=$(now)
check_soon 'an open TCP connection is active' 'A 1/0' connections -t 10.1.0.100:80
expires 'an idle TCP connection expires' -t 10.1.0.100:80 'A 0/0' 250 500
client patience 1 >/dev/null
check_match 'the client of an expired TCP connection gets no answer' "$(client again t)" 'reset|timeout|refused'
client patience 10 >/dev/null

# With direct routing, the director sees only the client's FIN.
must lvs --set 900 4 300
client hold f tcp 10.1.0.101 80 1 >/dev/null
client close f >/dev/null
start=$(now)
check_soon 'DR: FIN makes a connection inactive' 'A 0/1' connections -t 10.1.0.101:80
expires 'DR: a closed connection expires after the FIN timeout' -t 10.1.0.101:80 'A 0/0' 350 600

# Other states have fixed timeouts: 10 s after a reset.
client hold r tcp 10.1.0.101 80 1 >/dev/null
client reset r >/dev/null
start=$(now)
check_soon 'RST makes a connection inactive' 'A 0/1' connections -t 10.1.0.101:80
expires 'a reset connection expires after 10 s' -t 10.1.0.101:80 'A 0/0' 950 1200

# A changed timeout applies to a connection with its next packet.
must lvs --set 900 120 300
client hold l udp 10.1.0.100 80 1 >/dev/null
must lvs --set 0 0 2
client again l >/dev/null
start=$(now)
expires 'a changed timeout applies from the next packet on' -u 10.1.0.100:80 'A 0/0' 150 400
finish
