#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Services and destinations are added, edited, deleted and flushed while connections are open and
# traffic flows. Also: quiesced destinations, connections of a deleted destination, and the client's
# view of a service without destinations.
# timeout: 200
# kernel: debug, because editing puts memory at risk; all others edit on the stock kernel

# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"

must module_load "$IPVS_MODULE"
topology_up
client_up client
client_up load client 10.0.0.2
servers_up A B C

# The C director refuses connections while it changes schedulers, so this step is left out for it.
reschedule() {
	[ "$IPVS_MODULE" = ip_vs ] || must lvs -E -t 10.1.0.100:80 -s "$1"
}
# shellcheck disable=SC2317 # called through wait_for
no_active() { [[ $(connections -t 10.1.0.100:80) == *"$1 0/"* ]]; }

# A load has no failure while the table changes around it.
service -t 10.1.0.100:80 rr -- A:m:1 B:i:1
ask load load x tcp 10.1.0.100 80 2 >/dev/null
more() {
	local was
	was=$(ask load progress x)
	wait_for 30 eval "[ \$(ask load progress x) -gt $((was + 8)) ]" || note 'the load stands still'
}
more
must destination -a -t 10.1.0.100:80 C:g:2
more
reschedule wrr
more
must destination -e -t 10.1.0.100:80 A:m:7
reschedule wlc
more
for n in 1 2 3 4 5 6; do
	must lvs -A -t "10.1.0.101:$n" -s rr
	must destination -a -t "10.1.0.101:$n" A:m:1:80
	must lvs -Z
done
more
must destination -e -t 10.1.0.100:80 C:g:0
for n in 1 2 3 4 5 6; do must lvs -D -t "10.1.0.101:$n"; done
check 'a quiesced destination drains' wait_for 10 no_active C
must destination -d -t 10.1.0.100:80 C:g:0
reschedule lc
more
check_match 'edits under load: every connection is answered' "$(ask load stop x)" 'A=[0-9]+ B=[0-9]+ C=[0-9]+'
must lvs -E -t 10.1.0.100:80 -s lc
check_eq 'edits under load: the configuration is as edited' "$(configuration | sort)" "$(printf '%s\n' \
	'-A -t 10.1.0.100:80 -s lc' \
	'-a -t 10.1.0.100:80 -r 10.2.0.11:80 -m -w 7' \
	'-a -t 10.1.0.100:80 -r 10.3.0.12:80 -i -w 1' | sort)"
flush
check_eq 'a flush removes every service' "$(configuration)" ''

# Weight 0.
service -t 10.1.0.102:80 rr -- A:m:1 B:m:1
client hold q tcp 10.1.0.102 80 2 >/dev/null
must destination -e -t 10.1.0.102:80 A:m:0
check_eq 'a quiesced destination gets no new connections' "$(client get tcp 10.1.0.102 80 3)" 'B B B'
check_eq 'connections to a quiesced destination continue' "$(client again q)" 'A B'
must destination -e -t 10.1.0.102:80 A:m:1
check_eq 'a destination with its weight restored gets new connections' "$(client get tcp 10.1.0.102 80 4 | xargs -n 1 | sort -u | xargs)" 'A B'
must destination -e -t 10.1.0.102:80 A:m:0
must destination -e -t 10.1.0.102:80 B:m:0
for scheduler in rr wrr lc wlc; do
	must lvs -E -t 10.1.0.102:80 -s $scheduler
	check_eq "$scheduler refuses new connections when all weights are 0" "$(client get tcp 10.1.0.102 80)" refused
done
check_eq 'open connections continue when all weights are 0' "$(client again q)" 'A B'
client close q >/dev/null
flush

# No destination.
service -t 10.1.0.103:80 rr --
service -u 10.1.0.103:80 wlc --
check_eq 'a service without destinations refuses TCP' "$(client get tcp 10.1.0.103 80)" refused
check_eq 'a service without destinations refuses UDP' "$(client get udp 10.1.0.103 80)" refused
check_eq 'a service without destinations counts no connection' "$(statistics -t 10.1.0.103:80 | cut -d' ' -f1)" 0
flush

# A deleted destination: the director drops packets of its connections. When the destination is
# added again, it regains them.
for row in 'tcp -t 10.1.0.103:8000' 'udp -u 10.1.0.103:8000'; do
	read -r protocol option address <<<"$row"
	service "$option" "$address" rr -- A:m:1 B:m:1
	client hold "$protocol" "$protocol" 10.1.0.103 8000 2 >/dev/null
	must destination -d "$option" "$address" A:m:1
	client patience 1 >/dev/null
	check_eq "$protocol: packets to a deleted destination are dropped" "$(client again "$protocol")" 'timeout B'
	client patience 10 >/dev/null
	check_eq "$protocol: a deleted destination gets no new connections" "$(client get "$protocol" 10.1.0.103 8000 2)" 'B B'
	check_eq "$protocol: the listing no longer shows a deleted destination" "$(connections "$option" "$address" | grep -c 'A ')" 0
	client close "$protocol" A >/dev/null
	client close "$protocol" B >/dev/null
done
service -t 10.1.0.103:8080 rr -- A:m:1 B:m:1
client hold back tcp 10.1.0.103 8080 4 >/dev/null
must destination -d -t 10.1.0.103:8080 A:m:1
must destination -a -t 10.1.0.103:8080 A:m:1
check_eq 'a destination that is added again regains its connections' "$(client again back)" 'A B A B'
check_soon 'a destination that is added again counts its connections' 'A 2/0 B 2/0' connections -t 10.1.0.103:8080
client close back A >/dev/null
check_soon 'a destination that is added again counts closed connections down' 'A 0/2 B 2/0' connections -t 10.1.0.103:8080

# The host answers packets of a deleted service's connections, and refuses new ones.
must lvs -D -t 10.1.0.103:8080
client patience 1 >/dev/null
check_eq 'the host answers packets to a deleted service' "$(client again back)" 'reset reset'
check_eq 'new connections to a deleted service are refused' "$(client get tcp 10.1.0.103 8080)" refused
client patience 10 >/dev/null
flush
service -t 10.1.0.103:80 rr -- C:i:1
check_eq 'the director balances again after a flush' "$(client get tcp 10.1.0.103 80 3)" 'C C C'

# Impossible commands are refused and change nothing.
before=$(configuration)
check_fails 'adding a service twice fails' 'exist' lvs -A -t 10.1.0.103:80 -s rr
check_fails 'adding a destination twice fails' 'exist' destination -a -t 10.1.0.103:80 C:i:5
check_fails 'editing an absent service fails' 'no such|exist|no .*service' lvs -E -t 10.1.0.103:81 -s rr
check_fails 'deleting an absent service fails' 'no such|exist|no .*service' lvs -D -t 10.1.0.103:81
check_fails 'editing an absent destination fails' 'no such|exist|no .*destination' destination -e -t 10.1.0.103:80 A:i:5
check_fails 'deleting an absent destination fails' 'no such|exist|no .*destination' destination -d -t 10.1.0.103:80 A:i:5
check_fails 'adding a destination to an absent service fails' 'no such|exist|no .*service|not defined' destination -a -t 10.1.0.103:81 A:i:5
check_fails 'an unknown scheduler fails' 'scheduler|no such' lvs -A -t 10.1.0.103:81 -s nosuch
check_eq 'refused commands leave the configuration unchanged' "$(configuration)" "$before"
finish
