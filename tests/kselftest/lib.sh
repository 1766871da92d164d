# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# What every test script here shares: reporting in TAP, waiting, starting the helpers, and driving the
# director. The hosts and the wires between them are in topology.sh, which this file reads.
#
# Here belongs what at least two scripts use. Never here: an expectation about a director's behaviour, or
# anything that only one script needs. Everything must work with the kernel's own director as well
# (IPVS_MODULE=ip_vs LVSADM=ipvsadm): it is the oracle for what is meant to be equal.
#
# A script reads this file, calls `check…` once per assertion and ends with `finish`. It reports what a user
# would see: answers, listings, exit codes, log lines. It polls and never merely sleeps.

set -u

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# The director under test and the command that drives it.
IPVS_MODULE=${IPVS_MODULE:-ipvs_rs}
LVSADM=${LVSADM:-lvsadm}

# Everything that waits waits this much longer: debug kernels under emulation are slow, unless the clock counts their
# instructions (VM_CLOCK=jumps).
if [ -z "${TIME_SCALE:-}" ]; then
	if [ -e /proc/lockdep ] && [ "${VM_CLOCK-}" != jumps ]; then TIME_SCALE=5; else TIME_SCALE=1; fi
fi
export TIME_SCALE

work=$(mktemp -d "${TMPDIR:-/tmp}/kselftest.XXXXXX")
declare -A ask_in ask_out ask_pid
servers_pid=
drop_in_force=/run/modprobe.d/ipvs_rs.conf
test_number=0
failures=0
finished=

# --- TAP ------------------------------------------------------------------------------------------------

note() {
	local line
	while IFS= read -r line; do printf '# %s\n' "$line"; done <<<"$*"
}

# Reports one result: report STATUS NAME, where status 0 is a pass.
report() {
	test_number=$((test_number + 1))
	if [ "$1" -eq 0 ]; then
		printf 'ok %d - %s\n' "$test_number" "$2"
	else
		failures=$((failures + 1))
		printf 'not ok %d - %s\n' "$test_number" "$2"
	fi
	return "$1"
}

# check NAME COMMAND…: the command succeeds.
check() {
	local name=$1 out status
	shift
	out=$("$@" 2>&1)
	status=$?
	if [ $status -ne 0 ]; then
		note "$* -> status $status"
		note "${out:-(it said nothing)}"
	fi
	report $status "$name"
}

# check_fails NAME PATTERN COMMAND…: the command fails by itself (no signal, no time-out), and says why.
check_fails() {
	local name=$1 pattern=$2 out status
	shift 2
	out=$("$@" 2>&1)
	status=$?
	if [ $status -eq 0 ] || { [ $status -ge 124 ] && [ $status -ne 255 ]; } || ! grep -Eqi -- "$pattern" <<<"$out"; then
		note "$* -> status $status, wanted a failure that says: $pattern"
		note "${out:-(it said nothing)}"
		report 1 "$name"
		return
	fi
	report 0 "$name"
}

# check_eq NAME GOT WANTED
check_eq() {
	if [ "$2" != "$3" ]; then
		note "got:    $2"
		note "wanted: $3"
		report 1 "$1"
		return
	fi
	report 0 "$1"
}

# check_match NAME GOT EXTENDED-REGEX: the whole of what was got matches.
check_match() {
	if ! [[ $2 =~ ^($3)$ ]]; then
		note "got:    $2"
		note "wanted: $3"
		report 1 "$1"
		return
	fi
	report 0 "$1"
}

# pause N: waits before look number N. The waits grow, since a look costs an emulated processor more than a wait.
pause() {
	local seconds=(0.05 0.1 0.2 0.3 0.5)
	sleep "${seconds[$1]:-0.5}"
}

# check_soon NAME WANTED COMMAND…: the command's output becomes what is wanted within 30 s.
check_soon() {
	local name=$1 wanted=$2 got='' end look=0
	shift 2
	end=$((SECONDS + 30 * TIME_SCALE))
	while :; do
		got=$("$@" 2>&1)
		[ "$got" = "$wanted" ] && break
		if [ $SECONDS -ge $end ]; then
			note "$* for $((30 * TIME_SCALE)) s"
			break
		fi
		pause $((look++))
	done
	check_eq "$name" "$got" "$wanted"
}

# reported COMMAND…: its lines "pass NAME" and "fail NAME: WHY" as results.
reported() {
	local verdict name
	"$@" 2>&1 | while read -r verdict name; do
		case $verdict in
		pass) report 0 "$name" ;;
		fail)
			note "${name#*: }"
			report 1 "${name%%: *}"
			;;
		*) note "$verdict $name" ;;
		esac
	done
	[ "${PIPESTATUS[0]}" -eq 0 ] || report 1 "$* ends well"
}

skip() {
	test_number=$((test_number + 1))
	printf 'ok %d - %s # SKIP %s\n' "$test_number" "$1" "$2"
}

# wait_for SECONDS COMMAND…: until the command succeeds, at most that long (scaled).
wait_for() {
	local end=$((SECONDS + $1 * TIME_SCALE)) look=0
	shift
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || return 1
		pause $((look++))
	done
}

bail() {
	printf 'Bail out! %s\n' "$*"
	exit 1
}

# For what the tests stand on: when it fails, nothing after it means anything.
must() {
	local out
	out=$("$@" 2>&1) || bail "$* failed: ${out//$'\n'/; }"
}

finish() {
	printf '1..%d\n' "$test_number"
	finished=1
	[ $test_number -gt 0 ] && [ $failures -eq 0 ]
	exit
}

clean_up() {
	local name pid
	for name in "${!ask_pid[@]}"; do
		kill "${ask_pid[$name]}" 2>/dev/null
	done
	[ -z "$servers_pid" ] || kill "$servers_pid" 2>/dev/null
	for pid in $(jobs -p); do kill "$pid" 2>/dev/null; done
	wait 2>/dev/null
	topology_down
	rm -rf "$work" "$drop_in_force"
	[ -n "$finished" ] || printf '# ended before its last line\n'
}
trap clean_up EXIT
# A running child is waited for before a trap: let the signal end the script at once.
trap 'exit 143' TERM INT

# shellcheck source=tests/kselftest/topology.sh
. "$here/topology.sh"

# --- helpers in Python: real servers and clients -----------------------------------------------------------

# servers_start NAMESPACE…: an HTTP and a UDP server in each; they take a while.
servers_start() {
	python3 "$here/servers.py" "$work/servers" "$@" &
	servers_pid=$!
}

# servers_up NAMESPACE…: the same, ready to answer.
servers_up() {
	[ -n "$servers_pid" ] || servers_start "$@"
	wait_for 30 test -e "$work/servers" || bail "the real servers do not start"
}

# client_up [NAME [NAMESPACE [ADDRESS]]]: a client that takes orders by `ask NAME`; it has the IPv6 address that goes
# with its own as well.
client_up() {
	local address=${3:-10.0.0.1}
	takes_orders "${1:-client}" "${2:-client}" client.py "$address" "$(six "$address")"
}

# takes_orders NAME NAMESPACE SCRIPT ARGUMENT…: starts a script that takes orders by `ask NAME`.
takes_orders() {
	local name=$1 namespace=$2 script=$3 in out
	shift 3
	mkfifo "$work/$name.in" "$work/$name.out"
	exec {in}<>"$work/$name.in" {out}<>"$work/$name.out"
	# Not by `on`: a function in the background is a shell of its own, with another process id.
	nsenter --net="/run/netns/$namespace" python3 "$here/$script" "$@" <"$work/$name.in" >"$work/$name.out" &
	ask_pid[$name]=$!
	ask_in[$name]=$in
	ask_out[$name]=$out
}

# ask NAME ORDER…: gives an order to a client and prints its one line of answer.
ask() {
	local name=$1 answer
	shift
	printf '%s\n' "$*" >&"${ask_in[$name]}"
	if IFS= read -r -t $((120 * TIME_SCALE)) answer <&"${ask_out[$name]}"; then
		printf '%s\n' "$answer"
	else
		printf 'the client gives no answer to: %s\n' "$*"
		return 1
	fi
}

client() {
	ask client "$@"
}

# --- the director ------------------------------------------------------------------------------------------

# Runs the administrator's command on the director.
lvs() {
	on "${DIRECTOR:-director}" "$LVSADM" "$@"
}

loaded() {
	[ -d "/sys/module/$1" ]
}

# Loads a director module or one of its schedulers, wherever it is.
module_load() {
	loaded "$1" || modprobe "$1" 2>/dev/null || insmod "$(module_path "$1")"
}

# Unloads a director module and its schedulers, which scripts before this one may have left. Their namespaces may
# still be on their way out, and hold the modules until then.
unload_all() {
	local name
	for name in $(lsmod | awk -v prefix="$1_" 'index($1, prefix) == 1 { print $1 }'); do
		wait_for 20 rmmod "$name" || must rmmod "$name"
	done
	! loaded "$1" || wait_for 20 rmmod "$1" || must rmmod "$1"
}

# The names of the kernel's own director and its schedulers mean ours until the script ends, as after an installation.
drop_in() {
	[ "$IPVS_MODULE" != ipvs_rs ] || must install -D -m 644 /usr/share/ipvs_rs/ipvs_rs.conf "$drop_in_force"
}

module_path() {
	local file
	for file in "${MODULE_DIR:-/nowhere}/$1.ko" "$here/$1.ko"; do
		if [ -e "$file" ]; then
			printf '%s\n' "$file"
			return
		fi
	done
	modinfo -n "$1"
}

# service OPTION ADDRESS SCHEDULER [MORE OPTIONS] -- SERVER:METHOD:WEIGHT[:PORT]…
# Adds a virtual service and its destinations, so that the scheduler looks at them in this order. All by one
# process: starting one takes long under emulation. ADDRESS may be "1 -6" for a firewall mark.
service() {
	local option=$1 address=$2 scheduler=$3 rules dests=() dest server options=''
	shift 3
	while [ "$1" != -- ]; do
		options+=" $1"
		shift
	done
	shift
	rules="-A $option $address -s $scheduler$options"
	for dest; do
		# The kernel's own director puts a new destination first.
		if [ "$IPVS_MODULE" = ip_vs ]; then dests=("$dest" "${dests[@]}"); else dests+=("$dest"); fi
	done
	for dest in "${dests[@]}"; do
		server_options "$dest" "$address"
		rules+=$'\n'"-a $option $address ${server[*]}"
	done
	# A new sequence begins anywhere, but one that takes over from another scheduler begins with the first.
	local helper=
	case $IPVS_MODULE/$scheduler in
	ipvs_rs/rr | ipvs_rs/wrr)
		rules+=$'\n'"-E $option $address -s lc$options"$'\n'"-E $option $address -s $scheduler$options"
		loaded ipvs_rs_lc || helper=ipvs_rs_lc
		;;
	esac
	must lvs -R <<<"$rules"
	[ -z "$helper" ] || must rmmod "$helper"
}

# server_options SERVER:METHOD:WEIGHT[:PORT] ADDRESS: sets `server` to the options for it, in a service with that
# address. METHOD is m, i or g, with 4 or 6 after it if the server's family is to be another than the service's.
server_options() {
	local name method weight port family=4
	IFS=: read -r name method weight port <<<"$1"
	case $2 in '['* | *' -6') family=6 ;; esac
	case $name in A) name=11 ;; B) name=12 ;; C) name=13 ;; *) bail "no real server $1" ;; esac
	case $method in
	m*) name=10.2.0.$name ;;
	i*) name=10.3.0.$name ;;
	g*) name=10.1.0.$name ;;
	*) bail "no forwarding method $1" ;;
	esac
	[ "${#method}" -eq 1 ] || family=${method:1}
	if [ "$family" = 6 ]; then
		name=$(six "$name")
		# Brackets are for what has a port.
		[ -z "$port" ] || name=[$name]
	fi
	server=("-r" "$name${port:+:$port}" "-${method:0:1}" "-w" "$weight")
}

# destination -a|-e|-d OPTION ADDRESS SERVER:METHOD:WEIGHT[:PORT]
destination() {
	local server
	server_options "$4" "$3"
	# What is deleted is named by its address alone.
	[ "$1" != -d ] || server=("${server[@]:0:2}")
	# The address of a service on a firewall mark may be two words.
	# shellcheck disable=SC2086
	lvs "$1" "$2" $3 "${server[@]}"
}

# Removes all services; what the connections do then is their own affair.
flush() {
	must lvs -C
}

# Letters instead of real servers' addresses, for the two below.
names='function name(address) {
	sub(/\]?:[0-9]+$/, "", address)
	sub(/.*[.:]/, "", address)
	return substr("ABC", address - 10, 1)
}'

# connections OPTION ADDRESS: the active and inactive connections per destination: "A 3/1 B 0/0".
connections() {
	# shellcheck disable=SC2086
	lvs -L -n "$1" $2 | awk "$names"'
		$1 == "->" && $2 ~ /^[[0-9]/ { line[name($2)] = $(NF - 1) "/" $NF }
		END { for (n = 1; n <= 3; n++) { c = substr("ABC", n, 1); if (c in line) out = out " " c " " line[c] }
		      print substr(out, 2) }'
}

# statistics OPTION ADDRESS: conns, packets in and out, bytes in and out of the service.
statistics() {
	# shellcheck disable=SC2086
	lvs -L -n --stats --exact "$1" $2 | awk '
		/^(TCP|UDP|FWM) / { print $(NF - 4), $(NF - 3), $(NF - 2), $(NF - 1), $NF }'
}

# dest_statistics OPTION ADDRESS SERVER: the same of one destination.
dest_statistics() {
	# shellcheck disable=SC2086
	lvs -L -n --stats --exact "$1" $2 | awk -v want="$3" "$names"'
		$1 == "->" && $2 ~ /^[[0-9]/ && name($2) == want { print $(NF - 4), $(NF - 3), $(NF - 2), $(NF - 1), $NF }'
}

# The whole configuration, without what traffic changes.
configuration() {
	# Tunnels of the plain kind are named by newer commands only.
	lvs -S -n | sed 's/ --tun-type ipip//'
}

# scheduled OPTION ADDRESS: connections in the statistics, of the service and of A, B and C: "6 2 2 2".
scheduled() {
	# shellcheck disable=SC2086
	lvs -L -n --stats --exact "$1" $2 | awk "$names"'
		/^(TCP|UDP|FWM) / { total = $(NF - 4) }
		$1 == "->" && $2 ~ /^[[0-9]/ { count[name($2)] = $(NF - 4) }
		END { print total, count["A"], count["B"], count["C"] }'
}
