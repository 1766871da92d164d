#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Malformed packets of all protocols reach the director while good traffic flows. No good packet is
# lost, the kernel logs nothing (run.sh looks), and everything works afterwards. HOSTILE_PACKETS is
# their number (10000), HOSTILE_SEED selects them, HOSTILE_PAUSE is the time in seconds that each
# client of the good traffic waits between connections (0.2).
# timeout: 120
# check: debug, because the debug kernel sees what a packet damages

# Functions are called through check.
# shellcheck disable=SC2317
# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"

count=${HOSTILE_PACKETS:-10000}
seed=${HOSTILE_SEED:-1}

unload_all "$IPVS_MODULE"
must module_load "$IPVS_MODULE"
must modprobe sctp
topology_up
client_up client
client_up other client 10.0.0.2
servers_up A B C

# Hostile packets name the first addresses. Good traffic uses these and others.
rows=('m NAT 10.1.0.100 10.1.0.101' 'i TUN 10.1.0.102 10.1.0.102' 'g DR 10.1.0.103 10.1.0.103')
for row in "${rows[@]}"; do
	read -r method title hostile good <<<"$row"
	for vip in $hostile $good; do
		for at in "$vip" "[$(six "$vip")]"; do
			for option in -t -u --sctp-service; do
				lvs -A $option "$at:80" -s rr 2>/dev/null || continue
				server_options "A:$method:1" "$at"
				must lvs -a $option "$at:80" "${server[@]}"
			done
		done
	done
done

# SCTP servers of NAT.
pids=()
trap 'kill "${pids[@]}" 2>/dev/null; clean_up' EXIT
for address in 10.2.0.11 "$(six 10.2.0.11)"; do
	launch "$work/sctp" ready on A python3 "$here/sctp.py" serve A "$address" 80
	pids+=("$launched")
done
talk() { on client python3 "$here/sctp.py" talk "$1" 80 5 2>&1; }
# An association that lives through them.
coproc held { on client python3 "$here/sctp.py" hold 10.1.0.101 80 2>&1; }
# shellcheck disable=SC2154 # the name of the coprocess
pids+=("$held_PID")
read -r -t $((30 * TIME_SCALE)) -u "${held[0]}" who
check_eq 'an association opens before the hostile packets' "$who" A

# Flows that some hostile packets imitate.
for vip in 10.1.0.100 fd00:0:0:1::100; do
	check_eq "$vip opens connections before the hostile packets" "$(ask other hold known tcp $vip 80 2) $(ask other hold known udp $vip 80 2)" 'A A A A'
done

loads=0
for row in "${rows[@]}"; do
	read -r method title _ good <<<"$row"
	for vip in "$good" "$(six "$good")"; do
		for protocol in tcp udp; do
			client load "$protocol$vip" $protocol "$vip" 80 1 "${HOSTILE_PAUSE:-0.2}" >/dev/null
			loads=$((loads + 1))
		done
	done
done
# progress N: succeeds when each load has had N connections.
progress() {
	local row good vip protocol
	for row in "${rows[@]}"; do
		read -r _ _ _ good <<<"$row"
		for vip in "$good" "$(six "$good")"; do
			for protocol in tcp udp; do
				[ "$(client progress "$protocol$vip")" -ge "$1" ] || return
			done
		done
	done
}
check 'good traffic flows before the hostile packets' wait_for 20 progress 5
check_match "$count malformed packets (seed $seed) are sent" "$(python3 "$here/hostile.py" "$seed" "$count")" '[0-9]+ [0-9]+'
check 'good traffic flows after the hostile packets' wait_for 20 progress 20
for row in "${rows[@]}"; do
	read -r method title _ good <<<"$row"
	for vip in "$good" "$(six "$good")"; do
		for protocol in tcp udp; do
			check_match "$title, $vip, $protocol: no good connection is lost" "$(client stop "$protocol$vip")" 'A=[0-9]+'
		done
	done
done
echo say >&"${held[1]}"
read -r -t $((30 * TIME_SCALE)) -u "${held[0]}" who
check_eq 'the association carries messages after the hostile packets' "$who" A
for vip in 10.1.0.100 fd00:0:0:1::100; do
	check_eq "$vip serves after the hostile packets" "$(client get tcp "$vip" 80 2) $(client get udp "$vip" 80 2)" 'A A A A'
	check_eq "$vip opens associations after the hostile packets" "$(talk "$vip")" A
	check_eq "$vip carries large bodies after the hostile packets" "$(client body "$vip" 80 100001)" A
done
finish
