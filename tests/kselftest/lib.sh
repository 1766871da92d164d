# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# Functions that the test scripts share: TAP reports, waiting, the helpers in Python, and the
# director's command. This file reads topology.sh, which has the hosts and the wires between them.
#
# A function belongs here when at least two scripts use it. Expectations about a director belong in
# the scripts. Everything here also works with the C director (IPVS_MODULE=ip_vs LVSADM=ipvsadm),
# which is the oracle where both directors must agree.
#
# A script reads this file, calls `check…` once per assertion and ends with `finish`. It checks what
# a user sees: answers, listings, exit codes, log lines. It polls for a condition; it never relies
# on a fixed sleep.

set -u

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# The director under test and the command that drives it.
IPVS_MODULE=${IPVS_MODULE:-ipvs_rs}
LVSADM=${LVSADM:-lvsadm}

# The factor for all timeouts. Debug kernels are slow under emulation, unless the clock counts their
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

# --- TAP ------------------------------------------------------------------------------------------

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
		note "${out:-(no output)}"
	fi
	report $status "$name"
}

# check_fails NAME PATTERN COMMAND…: the command exits with an error (not by a signal or a timeout),
# and its message matches the pattern.
check_fails() {
	local name=$1 pattern=$2 out status
	shift 2
	out=$("$@" 2>&1)
	status=$?
	if [ $status -eq 0 ] || { [ $status -ge 124 ] && [ $status -ne 255 ]; } || ! grep -Eqi -- "$pattern" <<<"$out"; then
		note "$* -> status $status, wanted a failure that says: $pattern"
		note "${out:-(no output)}"
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

# check_match NAME GOT EXTENDED-REGEX: the regular expression matches all of GOT.
check_match() {
	if ! [[ $2 =~ ^($3)$ ]]; then
		note "got:    $2"
		note "wanted: $3"
		report 1 "$1"
		return
	fi
	report 0 "$1"
}

# pause N: waits before attempt number N. The waits grow, because an attempt costs an emulated
# processor more than a wait. They grow further with a clock that skips them, unless the script
# measures times (exact_waits=1). The function reads a pipe to which nobody writes: a program that
# sleeps would be one more process.
exec {silence}<> <(:)
export silence
pause() {
	local seconds=(0.05 0.1 0.2 0.3 0.5) longest=0.5
	if [ "${VM_CLOCK-}" = jumps ] && [ -z "${exact_waits-}" ]; then
		seconds+=(0.5 0.5 1 1 2) longest=4
	fi
	read -rt "${seconds[$1]:-$longest}" -u "$silence" || true
}

# check_soon NAME WANTED COMMAND…: the command prints WANTED within 30 s.
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

# reported COMMAND…: reports the command's lines "pass NAME" and "fail NAME: WHY" as results.
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
	[ "${PIPESTATUS[0]}" -eq 0 ] || report 1 "$* exits with status 0"
}

skip() {
	test_number=$((test_number + 1))
	printf 'ok %d - %s # SKIP %s\n' "$test_number" "$1" "$2"
}

# wait_for SECONDS COMMAND…: repeats the command until it succeeds, at most that long (scaled).
wait_for() {
	local end=$((SECONDS + $1 * TIME_SCALE)) look=0
	shift
	until "$@" >/dev/null 2>&1; do
		[ $SECONDS -lt $end ] || return 1
		pause $((look++))
	done
}

# launch FILE TEXT COMMAND…: starts a program in the background with its output in the file, and
# waits until the text is there. Sets $launched to the process ID.
launch() {
	local file=$1 text=$2
	shift 2
	# The program may start late: the output of an earlier one must not pass for its own.
	: >"$file"
	"$@" >"$file" 2>&1 &
	# shellcheck disable=SC2034 # for the caller
	launched=$!
	wait_for 20 grep -q -- "$text" "$file" || bail "$* does not start: $(cat "$file")"
}

bail() {
	printf 'Bail out! %s\n' "$*"
	exit 1
}

# must COMMAND…: ends the script if the command fails. For steps that all later checks depend on.
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
# Bash runs a trap only after the current child has ended. This trap ends the script at once.
trap 'exit 143' TERM INT

# shellcheck source=tests/kselftest/topology.sh
. "$here/topology.sh"

# --- helpers in Python: real servers and clients --------------------------------------------------

# servers_start NAMESPACE…: starts an HTTP and a UDP server in each namespace, without waiting.
servers_start() {
	python3 "$here/servers.py" "$work/servers" "$@" &
	servers_pid=$!
}

# servers_up NAMESPACE…: starts them unless they run, and waits until they answer.
servers_up() {
	[ -n "$servers_pid" ] || servers_start "$@"
	wait_for 30 test -e "$work/servers" || bail "the real servers do not start"
}

# client_up [NAME [NAMESPACE [ADDRESS]]]: starts a client that takes orders by `ask NAME`. It also
# uses the IPv6 address that goes with its IPv4 address.
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
	on "$namespace" python3 "$here/$script" "$@" <"$work/$name.in" >"$work/$name.out" &
	ask_pid[$name]=$!
	ask_in[$name]=$in
	ask_out[$name]=$out
}

# ask NAME ORDER…: gives an order to a client and prints its answer, one line. It has ASK_LIMIT
# seconds for that.
ask() {
	local name=$1 answer
	shift
	printf '%s\n' "$*" >&"${ask_in[$name]}"
	if IFS= read -r -t "${ASK_LIMIT:-$((120 * TIME_SCALE))}" answer <&"${ask_out[$name]}"; then
		printf '%s\n' "$answer"
	else
		printf 'the client does not answer: %s\n' "$*"
		return 1
	fi
}

client() {
	ask client "$@"
}

# Gives the client sixteen addresses for `tenants`.
tenants_up() {
	local n
	{
		for n in $(seq 21 36); do
			echo "address add 10.0.0.$n/32 dev eth0"
			echo "address add $(six "10.0.0.$n")/128 dev eth0"
		done
	} | batch -n client
}

# tenants PROTOCOL ADDRESS: prints the servers of sixteen clients.
tenants() {
	local n address line=''
	for n in $(seq 21 36); do
		address=10.0.0.$n
		[[ $2 != *:* ]] || address=$(six "$address")
		client from "$address" >/dev/null
		line+=" $(client get "$1" "$2" 80)"
	done
	client from 10.0.0.1 >/dev/null
	client from fd00::1 >/dev/null
	printf '%s\n' "${line# }"
}

# --- the director ---------------------------------------------------------------------------------

loaded() {
	[ -d "/sys/module/$1" ]
}

# Loads a director module or one of its schedulers from wherever it is installed.
module_load() {
	loaded "$1" || modprobe "$1" 2>/dev/null || insmod "$(module_path "$1")"
}

# Loads all schedulers.
load_schedulers() {
	local module
	for module in "$(dirname "$(module_path "$IPVS_MODULE")")/${IPVS_MODULE}"_*.ko*; do
		module=$(basename "$module")
		# Helpers are not schedulers.
		case ${module%%.ko*} in
		*_ftp | *_pe_sip | *_xdp) ;;
		*) must module_load "${module%%.ko*}" ;;
		esac
	done
}

# Unloads a director module and its schedulers, which earlier scripts may have left. Namespaces that
# are still being deleted may hold the modules for a while.
unload_all() {
	local name
	for name in $(lsmod | awk -v prefix="$1_" 'index($1, prefix) == 1 { print $1 }'); do
		wait_for 20 rmmod "$name" || must rmmod "$name"
	done
	! loaded "$1" || wait_for 20 rmmod "$1" || must rmmod "$1"
}

# Until the script ends, the names of the C director and its schedulers load ours, as they do after
# an installation.
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

# under_traffic COUNT TURN TAG…: repeats exchanges on open connections of the client `turning`.
# Meanwhile, TURN N makes the Nth change, from 0 on. Sets `turns` to the number of changes that
# succeeded and were followed by another exchange. The file kept has the answers of all exchanges.
under_traffic() {
	local count=$1 turn=$2 keeper lines n
	shift 2
	# The pauses let the clock of a busy guest go on.
	keep_asking() {
		local tag
		until [ -e "$work/stop" ]; do
			for tag; do ask turning exchange "$tag" 50001; done
			sleep 0.01
		done >>"$work/kept"
	}
	# shellcheck disable=SC2317 # called by wait_for
	another_exchange() { [ "$(wc -l <"$work/kept")" -gt "$lines" ]; }
	: >"$work/kept"
	keep_asking "$@" &
	keeper=$!
	turns=0
	for ((n = 0; n < count; n++)); do
		lines=$(wc -l <"$work/kept")
		if ! "$turn" $n; then
			note "turn $n: the change failed"
		elif ! wait_for 20 another_exchange; then
			note "turn $n: no exchange in 20 s"
		else
			turns=$((turns + 1))
		fi
	done
	touch "$work/stop"
	wait $keeper
}

# service OPTION ADDRESS SCHEDULER [MORE OPTIONS] -- SERVER:METHOD:WEIGHT[:PORT]…
#
# Adds a virtual service and its destinations. The scheduler sees the destinations in this order.
# One process adds them all, because starting a process takes long under emulation. ADDRESS may be
# "1 -6" for a firewall mark.
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
		# The C director puts a new destination first.
		if [ "$IPVS_MODULE" = ip_vs ]; then dests=("$dest" "${dests[@]}"); else dests+=("$dest"); fi
	done
	for dest in "${dests[@]}"; do
		server_options "$dest" "$address"
		rules+=$'\n'"-a $option $address ${server[*]}"
	done
	# A new rr or wrr service starts at a random server. One that takes over from another
	# scheduler starts at the first.
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

# server_options SERVER:METHOD:WEIGHT[:PORT] ADDRESS: sets `server` to the options for that server,
# in a service with that address. METHOD is m, i or g, followed by 4 or 6 if the family of the
# server differs from that of the service.
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
		# An address needs brackets only if a port follows.
		[ -z "$port" ] || name=[$name]
	fi
	server=("-r" "$name${port:+:$port}" "-${method:0:1}" "-w" "$weight")
}

# destination -a|-e|-d OPTION ADDRESS SERVER:METHOD:WEIGHT[:PORT]
destination() {
	local server
	server_options "$4" "$3"
	# To delete a destination, the address is enough.
	[ "$1" != -d ] || server=("${server[@]:0:2}")
	# The address of a service on a firewall mark may be two words.
	# shellcheck disable=SC2086
	lvs "$1" "$2" $3 "${server[@]}"
}

# Removes all services. Their connections may stay in the table.
flush() {
	must lvs -C
}

# An awk function for the functions below: the letter of a real server, from its address.
names='function name(address) {
	sub(/\]?:[0-9]+$/, "", address)
	sub(/.*[.:]/, "", address)
	return substr("ABC", address - 10, 1)
}'

# connections OPTION ADDRESS: prints the active and inactive connections per destination: "A 3/1 B
# 0/0".
connections() {
	# shellcheck disable=SC2086
	lvs -L -n "$1" $2 | awk "$names"'
		$1 == "->" && $2 ~ /^[[0-9]/ { line[name($2)] = $(NF - 1) "/" $NF }
		END { for (n = 1; n <= 3; n++) { c = substr("ABC", n, 1); if (c in line) out = out " " c " " line[c] }
		      print substr(out, 2) }'
}

# statistics OPTION ADDRESS: prints the service's connections, packets in and out, bytes in and out.
statistics() {
	# shellcheck disable=SC2086
	lvs -L -n --stats --exact "$1" $2 | awk '
		/^(TCP|UDP|FWM) / { print $(NF - 4), $(NF - 3), $(NF - 2), $(NF - 1), $NF }'
}

# dest_statistics OPTION ADDRESS SERVER: prints the same for one destination.
dest_statistics() {
	# shellcheck disable=SC2086
	lvs -L -n --stats --exact "$1" $2 | awk -v want="$3" "$names"'
		$1 == "->" && $2 ~ /^[[0-9]/ && name($2) == want { print $(NF - 4), $(NF - 3), $(NF - 2), $(NF - 1), $NF }'
}

# Prints the configuration without the parts that traffic changes.
configuration() {
	# Only newer commands name the ipip tunnel type.
	lvs -S -n | sed 's/ --tun-type ipip//'
}

# scheduled OPTION ADDRESS: prints the connections in the statistics of the service, A, B and C: "6
# 2 2 2".
scheduled() {
	# shellcheck disable=SC2086
	lvs -L -n --stats --exact "$1" $2 | awk "$names"'
		/^(TCP|UDP|FWM) / { total = $(NF - 4) }
		$1 == "->" && $2 ~ /^[[0-9]/ { count[name($2)] = $(NF - 4) }
		END { print total, count["A"], count["B"], count["C"] }'
}
