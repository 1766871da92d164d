#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Two machines, joined by a wire (MACHINES=2). A test script runs on the first machine. It reads
# this file after lib.sh and gives orders to a shell on the second one, which has the functions of
# lib.sh, too. That shell keeps its variables and functions until the script ends.
#
#   machines.sh serve     on the second machine: obeys one script after another
#   machines.sh end       on the first machine: the second one ends
#
# An order and its answer end with an octet 0. The status of the order follows, and another 0.

second_address=fe80::5054:ff:fe00:2%eth0
second_port=7000

# The second machine listens for the next script when the last one has cleaned up.
serve() {
	while [ ! -e /run/machines.end ]; do
		socat -t 600 "TCP6-LISTEN:$second_port,reuseaddr" EXEC:"bash ${BASH_SOURCE[0]} obey"
	done
}

obey() {
	local order
	# shellcheck source=tests/kselftest/lib.sh
	. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
	while IFS= read -r -d '' order && [ "$order" != bye ]; do
		eval "$order" </dev/null 2>&1
		printf '\0%d\0' $?
	done
	finished=1
	exit 0
}

# second_reached: whether the other machine takes orders. Connects to it.
second_reached() {
	ping -q -c 1 -W 1 "$second_address" >/dev/null && exec {second}<>"/dev/tcp/$second_address/$second_port"
}

# second_up: the first step of a script that needs two machines.
second_up() {
	if [ "${MACHINE-}" != 1 ]; then
		skip 'two directors on two machines' 'this guest is alone: MACHINES=2'
		finish
	fi
	wait_for 120 second_reached || bail 'the second machine does not answer'
}

# second TEXT: the second machine executes the text. Prints its output and returns its status.
second() {
	local output status=''
	printf '%s\0' "$*" >&"$second"
	IFS= read -r -d '' -t $((300 * TIME_SCALE)) output <&"$second"
	IFS= read -r -d '' -t 10 status <&"$second"
	printf '%s' "$output"
	return "${status:-255}"
}

# second_dies: the second machine restarts at once, as after a power failure.
second_dies() {
	printf 'echo b >/proc/sysrq-trigger\0' >&"$second"
	exec {second}>&-
}

# second_leaves: the second machine forgets what the script did there.
second_leaves() {
	printf 'bye\0' >&"$second"
	cat <&"$second" >/dev/null
	exec {second}>&-
}

# end_second: ends the second machine. It may still clean up after the last script, or boot. This
# machine stays until the order has arrived.
end_second() {
	local _
	for _ in {1..60}; do
		if second_reached 2>/dev/null; then
			printf 'touch /run/machines.end\0bye\0' >&"$second"
			timeout 20 cat <&"$second" >/dev/null && return
			exec {second}>&-
		fi
		sleep 1
	done
	echo '# the second machine does not end'
}

# wire NUMBER NAMESPACE NAME: adds a wire of its own between the machines, which ends at the
# interface NAME of that namespace: the VLAN of that number.
wire() {
	modprobe 8021q
	must ip link add link eth0 name "$3" netns "$2" type vlan id "$1"
	must ip -n "$2" link set "$3" up
}

case "${BASH_SOURCE[0]} ${1-}" in
"$0 serve") serve ;;
"$0 obey") obey ;;
"$0 end") end_second ;;
esac
