#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# lvsadm while things happen: monitor, connections counted, grouped and removed, transactions, and
# top in a real terminal, which draws, resizes, filters, follows connections, drains and undrains.
# timeout: 240
# check: debug, because texts do not depend on the kernel

# Functions are called through check and others.
# shellcheck disable=SC2317
# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"

unload_all "$IPVS_MODULE"
must module_load "$IPVS_MODULE"
topology_up
client_up client
client_up second client 10.0.0.2
servers_up A B C
LVSADM=lvsadm

adm() {
	on director lvsadm "$@"
}

status() {
	"$@" >"$work/out" 2>&1
	echo $?
}

# --- monitor --------------------------------------------------------------------------------------

# Not by `on`: that would be a shell of its own, with another process id.
on director lvsadm monitor --json >"$work/events" 2>"$work/monitor" &
monitor=$!
on director lvsadm monitor >"$work/lines" &
# Both listen once a change is reported.
heard() { [ -s "$work/events" ] && [ -s "$work/lines" ]; }
listening() { adm -Z; heard; }
wait_for 20 listening || note "$(cat "$work/monitor")"
# events FILTER: the members of the events so far that are not about counters.
events() {
	jq -c "select(.event != \"counters_zeroed\") | $1" "$work/events" 2>&1 | xargs
}
must adm -A -t 10.1.0.100:80 -s rr
check_soon 'monitor: a service is added' 'service_added -A -t 10.1.0.100:80 -s rr' events '.event, .rule'
must adm -a -t 10.1.0.100:80 -r 10.2.0.11 -m -w 2
must adm -e -t 10.1.0.100:80 -r 10.2.0.11 -m -w 1 -x 2
check_soon 'monitor: a server is added and edited' '2 1' events 'select(.event | startswith("server_")) | .rule | capture("-w (?<w>[0-9]+)") | .w'
check_eq 'two connections' "$(client hold kept tcp 10.1.0.100 80 2)" 'A A'
check_soon 'monitor: the threshold is reached' 'FULL 2' events 'select(.event == "server_state") | .to, .active'
check_soon 'monitor: so the service is down' DOWN events 'select(.event == "service_state") | .to'
must adm -e -t 10.1.0.100:80 -r 10.2.0.11 -m -w 0
check_soon 'monitor: the server drains' DRAINING events 'select(.event == "server_state" and .to == "DRAINING") | .to'
must adm -d -t 10.1.0.100:80 -r 10.2.0.11
must adm -D -t 10.1.0.100:80
check_soon 'monitor names the deleted server and service' 'server_deleted TCP 10.1.0.100:80 10.2.0.11:80 service_deleted TCP 10.1.0.100:80 null' \
	events 'select(.event | endswith("_deleted")) | .event, .service, .server'
must adm -C
must adm --set 900 120 300
check_soon 'monitor: the table is cleared, timeouts are set' 'table_cleared timeouts_set' events 'select(.event == "table_cleared" or .event == "timeouts_set") | .event'
check_match 'monitor: a line for people' "$(grep 'server added' "$work/lines")" \
	'20..-..-..T..:..:..Z server added: -a -t 10.1.0.100:80 -r 10.2.0.11:80 -m -w 2'
kill $monitor
client close kept >/dev/null
check_eq 'connections of a deleted service can be removed' "$(adm connections -r 10.2.0.11 --kill)" 'removed: 2'
check_fails 'monitor needs the privilege' 'permitted|permission' on director setpriv --bounding-set=-net_admin --inh-caps=-net_admin \
	lvsadm monitor

# --- connections ----------------------------------------------------------------------------------

service -t 10.1.0.100:80 rr -- A:m:1 B:m:1
service -u 10.1.0.100:53 rr -- A:m:1
must client hold a tcp 10.1.0.100 80 3
must ask second hold b tcp 10.1.0.100 80 1
# Nobody answers there. The connection counts.
must client get udp 10.1.0.100 53 1
check_eq 'connections --count' "$(adm connections --count)" 5
check_eq 'connections --state' "$(adm connections --state established --count)" 4
check_eq 'connections --group-by state' "$(adm connections --group-by state | xargs)" '4 ESTABLISHED 1 UDP 5 total'
check_eq 'connections --group-by client' "$(adm connections --group-by client | xargs)" '4 10.0.0.1 1 10.0.0.2 5 total'
check_eq 'connections --group-by prefix' "$(adm connections --group-by prefix | xargs)" '5 10.0.0.0/24 5 total'
check_eq 'connections --group-by server, of a service' "$(adm connections -t 10.1.0.100:80 --group-by server | xargs)" \
	'2 10.2.0.11:80 2 10.2.0.12:80 4 total'
check_eq 'connections --group-by service --top 1' "$(adm connections --group-by service --top 1 | xargs)" \
	'4 TCP 10.1.0.100:80 5 total'
check_eq 'as JSON' "$(adm connections --group-by service --json | jq -c '[.total, .groups[0].connections]')" '[5,4]'
check_eq 'a listing of one state' "$(adm connections -n --state UDP | grep -c '^UDP')" 1
check_fails 'connections --kill needs a selection' '--kill needs a selection' adm connections --kill
check_eq 'connections --kill of a client' "$(adm connections --client 10.0.0.2 --kill)" 'removed: 1'
check_eq 'the others are there' "$(adm connections --group-by client | xargs)" '4 10.0.0.1 4 total'
check_eq 'their connections work' "$(client again a)" "$(client again a)"
check_eq 'by server and state' "$(adm connections -r 10.2.0.11 --state UDP --kill --json | jq .removed)" 1
check_eq 'all of a service' "$(adm connections -t 10.1.0.100:80 --kill)" 'removed: 3'
check_eq 'none is left' "$(adm connections --count)" 0
client close a >/dev/null
ask second close b >/dev/null

# --- transactions ---------------------------------------------------------------------------------

flush
service -t 10.1.0.100:80 rr -- A:m:1 B:m:1
service -t 10.1.0.101:80 rr -- A:m:1
check_eq 'connections to A' "$(client hold kept tcp 10.1.0.101 80 1)" A
before=$(adm -S -n)
cat >"$work/refused" <<END
-A -t 10.1.0.100:80 -s wrr
-a -t 10.1.0.100:80 -r 10.2.0.11:80 -m -w 9
-A -t 10.1.0.102:80 -s rr
-a -t 10.1.0.102:80 -r 10.2.0.12:80 -m
-A -t 10.1.0.103:80 -s nosuch
END
check_eq 'a transaction that is refused at its end' "$(status adm apply --prune "$work/refused")" 1
check_match 'says what was refused' "$(cat "$work/out")" 'lvsadm: .*no scheduler "nosuch".*; nothing was changed'
check_eq 'changes nothing' "$(adm -S -n)" "$before"
check_eq 'the connection of a service that was to be deleted goes on' "$(client again kept)" A
sed -i '$d' "$work/refused"
check_eq 'without it the transaction is made' "$(status adm apply --prune "$work/refused")" 0
check_eq 'as a whole' "$(adm -S -n)" "$(cat <<END
-A -t 10.1.0.100:80 -s wrr
-a -t 10.1.0.100:80 -r 10.2.0.11:80 -m -w 9
-A -t 10.1.0.102:80 -s rr
-a -t 10.1.0.102:80 -r 10.2.0.12:80 -m -w 1
END
)"
check_eq 'new services serve' "$(client get tcp 10.1.0.102 80 1)" B
echo '-A -t 10.1.0.101:80 -s rr
-a -t 10.1.0.101:80 -r 10.2.0.11:80 -m' >>"$work/refused"
must adm apply "$work/refused"
check_eq 'a server that returns has its connections' "$(client again kept)" A
client close kept >/dev/null
{
	for number in $(seq 1 200); do
		echo "-A -t 10.9.$((number / 100)).$((number % 100 + 1)):80 -s rr"
		for server in $(seq 1 20); do echo "-a -t 10.9.$((number / 100)).$((number % 100 + 1)):80 -r 10.2.1.$server -m"; done
	done
} >"$work/large"
check_eq 'a transaction of 4,000 changes' "$(adm apply --prune "$work/large" | tail -n 1)" \
	'added: 4200, edited: 0, deleted: 3'
check_eq 'is in the table' "$(adm -S -n | wc -l)" 4200
flush

# --- top in a terminal ----------------------------------------------------------------------------

service -t 10.1.0.100:80 rr -- A:m:1 B:m:3
service -u 10.1.0.100:53 rr -- A:m:1
must client hold a tcp 10.1.0.100 80 4
# top STEPS: runs it and keeps the screens.
top_steps() {
	on director python3 "$here/terminal.py" "$1" lvsadm top >"$work/screens" 2>"$work/why"
	local status=$?
	[ "$status" -eq 0 ] || note "$(cat "$work/why" "$work/screens")"
	return "$status"
}
check 'top draws, and ends by q' top_steps 'wait=SERVICE_/_SERVER wait=10.2.0.12:80 show keys=q end'
check_match 'the head' "$(head -n 1 "$work/screens")" 'lvsadm top +2 services +active 4 .*'
check_match 'a server with its bar' "$(grep '10.2.0.12:80' "$work/screens")" ' +10.2.0.12:80 +NAT +3 =====..\|.. +2 .* OK'
note "$(cat "$work/screens")"
check 'a smaller terminal is drawn anew' top_steps 'wait=OUT_B/S size=60x10 gone=OUT_B/S wait=STATE show keys=q end'
check_eq 'no line is longer' "$(awk 'length > 60' "$work/screens")" ''
check 'a filter, and its end by escape' top_steps \
	'wait=10.1.0.100:53 keys=/TCP\r gone=UDP_10.1 wait=TCP_10.1 show keys=\x1b wait=UDP_10.1 keys=q end'
check 'sorting' top_steps 'wait=sort_.name. keys=s wait=sort_.active. keys=q end'
check 'the connections of a service are followed' top_steps 'wait=10.2.0.11:80 keys=c wait=4_connections wait=ESTABLISHED show keys=c wait=SERVICE_/_SERVER keys=q end'
note "$(cat "$work/screens")"
check 'drain asks, and n is no' top_steps 'wait=10.2.0.11:80 keys=j keys=d wait=drain_.*y/n keys=n gone=y/n keys=q end'
check_eq 'so nothing is drained' "$(adm show --json | jq -r '.services[].servers[].weight' | xargs)" '1 3 1'
check 'drain by y, undrain by u' top_steps \
	'wait=10.2.0.11:80 keys=j keys=d wait=drain_.*y/n keys=y wait=DRAINING keys=u gone=DRAINING keys=q end'
check_eq 'the weight is back' "$(adm show --json | jq -r '.services[].servers[].weight' | xargs)" '1 3 1'
check 'control-C ends it' top_steps 'wait=10.2.0.11:80 keys=\x03 end'
check_eq 'the terminal is left as it was' "$(on director script -qec 'lvsadm top --once >/dev/null; stty -a' /dev/null | grep -c ' echo ')" 1
on director lvsadm top --serve 127.0.0.1:9751 2>"$work/served" &
served=$!
# page PATH OPTION…
page() {
	local path=$1
	shift
	on director curl -s -N --max-time 5 "$@" "http://127.0.0.1:9751$path"
}
check_soon 'top --serve: the page' '<!DOCTYPE html>' eval 'page / | head -n 1'
check_eq 'top --serve: samples as they come' \
	"$(page /events | sed -n 's/^data: //p' | head -n 2 | jq -r '.services[0].servers[1].weight' | xargs)" '3 3'
check_eq 'top --serve: only this host is meant' "$(page / -H 'Host: example.net' -o /dev/null -w '%{http_code}')" 403
kill $served
client close a >/dev/null
finish
