#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Weights from load: lvsadm feedback follows the agents of three servers, beside keepalived. Agents
# that hang, lie or flood change nothing but the trust in their own server. All kinds of bad agents
# are tried on the debug kernel, since lvsadm reads their answers, whatever the kernel.
# timeout: 600
# check: debug, because weights do not depend on the kernel
#
# Functions are called through wait_for, check_soon and all.
# shellcheck disable=SC2317

# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"

must module_load "$IPVS_MODULE"
topology_up
client_up client
servers_up A B C
vip=10.1.0.100

# agent HOST COMMAND: an agent whose answer is the command's output.
declare -A agent_pid
agent() {
	[ -z "${agent_pid[$1]-}" ] || { kill "${agent_pid[$1]}" && wait "${agent_pid[$1]}"; } 2>/dev/null
	printf '%s\n' "$2" >"$work/$1.sh"
	on "$1" socat TCP-LISTEN:5555,reuseaddr,fork SYSTEM:"sh $work/$1.sh" 2>/dev/null &
	agent_pid[$1]=$!
	wait_for 10 listens "$1"
}
listens() { on "$1" ss -Hltn sport = 5555 | grep -q 5555; }
says() { agent "$1" "cat $work/$1"; }
# run HOST ARGUMENT…: runs lvsadm feedback in the background, with its process ID in $!.
run() {
	local host=$1
	shift
	on "$host" "$LVSADM" feedback "$@" >"$work/log" 2>&1 &
}
for host in A B C; do
	echo '100%' >"$work/$host"
	says $host
done
{
	echo "-A -t $vip:80 -s wrr"
	echo "-a -t $vip:80 -r 10.2.0.11:80 -m -w 100 --agent 10.2.0.11:5555"
	echo "-a -t $vip:80 -r 10.2.0.12:80 -m -w 100 --agent 10.2.0.12:5555"
	echo "-a -t $vip:80 -r 10.2.0.13:80 -m -w 100 --agent 10.2.0.13:5555"
} >"$work/rules"
sed 's/ --agent.*//' "$work/rules" | must lvs -R
once() { lvs feedback "$work/rules" --once --period 1s; }
weights() { lvs -L -n | awk '$1 == "->" && $2 ~ /^[0-9]/ { print $4 }' | xargs; }

check_eq 'servers that report 100 % keep their weights' "$(once; weights)" '100 100 100'
echo '50%' >"$work/B"
check_eq 'a busy server gets a smaller weight' "$(once)" "TCP $vip:80 10.2.0.12:80: weight 100 -> 80 (50 %)"
for _ in 1 2 3 4 5 6; do once >/dev/null; done
check_match 'after some periods it has the weight that it reports' "$(weights)" '100 5[0-3] 100'
check_match 'so it gets a fifth of the clients' "$(client bulk tcp $vip 80 250)" 'A=(9[5-9]|10[0-5]) B=(4[5-9]|5[0-9]) C=(9[5-9]|10[0-5])'
echo '100%' >"$work/B"
for _ in 1 2 3 4 5 6 7; do once >/dev/null; done
check_match 'an idle server gets its weight again' "$(weights)" '100 (9[5-9]|100) 100'
echo 'drain' >"$work/C"
check_match 'a server that drains has weight 0' "$(once >/dev/null; weights)" '100 [0-9]+ 0'
echo 'up 100%' >"$work/C"
# The command that began anew does not know who gave the server weight 0.
check_match 'another run leaves a server with weight 0 alone' "$(once >/dev/null; weights)" '100 [0-9]+ 0'
must lvs set -t $vip:80 -r 10.2.0.13:80 -w 100 >/dev/null
must lvs set -t $vip:80 -r 10.2.0.12:80 -w 100 >/dev/null

# --- a process that stays -------------------------------------------------------------------------

run director "$work/rules" --period 300ms
follower=$!
at() { weights; }
echo 'drain' >"$work/C"
check_soon 'the daemon drains a server' '100 100 0' at
echo 'ready' >"$work/C"
check_soon 'and gives it its weight again' '100 100 100' at

# Agents that answer badly. B reports as it should.
bad=("floods:head -c 10000000 /dev/zero | tr '\\0' 9")
[ "${KERNEL_FLAVOUR-stock}" != debug ] || bad+=("hangs:sleep 60" "lies:echo 999%" "says half a line:printf 75%%" "babbles:echo hello" "is closed:true")
for row in "${bad[@]}"; do
	agent A "${row#*:}"
	echo '20%' >"$work/B"
	falls() { local b; b=$(weights | cut -d ' ' -f 2); [ "$b" -lt 85 ]; }
	check "while the agent of A ${row%%:*}, the weight of B follows its agent" wait_for 30 falls
	check_match "the weight of A stays" "$(weights)" '100 [0-9]+ 100'
	echo '100%' >"$work/B"
	returns() { local b; b=$(weights | cut -d ' ' -f 2); [ "$b" -ge 95 ]; }
	wait_for 30 returns
done
echo '10%' >"$work/A"
says A
low() { [ "$(weights | cut -d ' ' -f 1)" -lt 60 ]; }
check 'the weight of A follows an agent that answers' wait_for 30 low
kill "${agent_pid[A]}" 2>/dev/null
back() { [ "$(weights | cut -d ' ' -f 1)" = 100 ]; }
check 'when the agent dies, the server has its base weight again' wait_for 30 back
must lvs -d -t $vip:80 -r 10.2.0.11:80
must lvs -e -t $vip:80 -r 10.2.0.12:80 -m -w 0
echo '50%' >"$work/B"
echo '50%' >"$work/C"
low_c() { [ "$(weights | cut -d ' ' -f 2)" -lt 60 ]; }
check 'the others go on without a server that was deleted' wait_for 30 low_c
check_match 'and leave a server alone that somebody quiesced' "$(weights)" '0 5[0-9]'
check 'the daemon runs all the time' kill -0 $follower
kill $follower
wait $follower 2>/dev/null
flush

# --- beside keepalived ----------------------------------------------------------------------------

echo '25%' >"$work/B"
check_status() { on director "$LVSADM" feedback --check "10.2.0.$1:5555" --weight 100 --period 1s; echo $?; }
check_eq 'a check tells keepalived the weight by its exit status' "$(check_status 12)" 27
check_eq 'an agent that does not answer leaves the weight' "$(check_status 11)" 0
cat >"$work/keepalived.conf" <<-END
	global_defs {
		script_user root
		enable_script_security
		checker_log_all_failures
	}
	virtual_server $vip 80 {
		delay_loop 1
		lvs_sched wrr
		lvs_method NAT
		protocol TCP
		real_server 10.2.0.12 80 {
			weight 100
			MISC_CHECK {
				misc_path "$(command -v "$LVSADM") feedback --check 10.2.0.12:5555 --weight 100 --period 1s"
				misc_dynamic
			}
		}
		real_server 10.2.0.13 80 {
			weight 100
			TCP_CHECK {
				connect_timeout 1
			}
		}
	}
END
if command -v keepalived >/dev/null; then
	on director keepalived -n -l -C -f "$work/keepalived.conf" -p "$work/k.pid" -c "$work/kc.pid" >"$work/k.log" 2>&1 &
	keepalived=$!
	check_soon 'keepalived gives the server the weight that its agent reports' '25 100' at
	# The other server is keepalived's as well; feedback gives it its weight.
	echo '50%' >"$work/C"
	grep '10.2.0.13' "$work/rules" >"$work/rules13"
	run director "$work/rules13" --period 300ms
	follower=$!
	half() { [ "$(weights | cut -d ' ' -f 2)" -lt 60 ]; }
	check 'feedback and keepalived share the servers of a service' wait_for 30 half
	check_match 'neither undoes what the other one writes' "$(sleep 3; weights)" '25 5[0-9]'
	kill $follower $keepalived
	wait $follower $keepalived 2>/dev/null
else
	skip 'feedback beside keepalived' 'keepalived is not installed'
fi

# --- lvsadm as the agent --------------------------------------------------------------------------

run B --serve 10.2.0.12:6666
own_agent=$!
check 'the agent of the command says where it listens' wait_for 20 grep -q 'listens on 10.2.0.12:6666' "$work/log"
check_match 'it answers with a percentage' "$(on director socat -T 5 - TCP:10.2.0.12:6666 </dev/null)" '[0-9]+%'
kill $own_agent
check_fails 'rules without an agent are refused' 'no rule has an agent' \
	lvs feedback - --once <<<"-a -t $vip:80 -r 10.2.0.11:80 -m"
check_fails 'a wrong agent is refused with its line' 'line 1: --agent' \
	lvs feedback - --once <<<"-a -t $vip:80 -r 10.2.0.11:80 -m --agent nowhere"

finish
