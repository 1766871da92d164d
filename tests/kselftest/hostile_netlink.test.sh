#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Malformed netlink messages of all commands. The director answers each. A refused message changes
# nothing; an accepted one is legal and makes exactly its change. Messages also come from another
# namespace, from callers without privilege, and from several processes at once. The kernel logs
# nothing (run.sh looks), and the module can be unloaded afterwards. HOSTILE_MESSAGES is their
# number (100000, and 20000 on a debug kernel), HOSTILE_SEED selects them.
# timeout: 120
# check: debug, because the debug kernel sees what a message damages

# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"

case ${KERNEL_FLAVOUR-} in debug*) count=20000 ;; *) count=100000 ;; esac
count=${HOSTILE_MESSAGES:-$count}
seed=${HOSTILE_SEED:-1}

if [ "$IPVS_MODULE" = ip_vs ]; then
	skip 'hostile netlink messages' 'the expectations hold for ipvs_rs only'
	finish
fi

unload_all "$IPVS_MODULE"
must module_load "$IPVS_MODULE"
load_schedulers
# Each unknown scheduler name would start modprobe, and the machine would do nothing else.
modprobe=$(</proc/sys/kernel/modprobe)
echo >/proc/sys/kernel/modprobe

must ip netns add director
must ip -n director link set lo up

# fuzz PERCENT MODE NAME: sends that share of all messages.
fuzz() {
	local out status start=$SECONDS
	out=$(on director python3 "$here/netlink_fuzz.py" "$2" "$seed" $((count * $1 / 100)) 2>&1)
	status=$?
	note "$out ($((SECONDS - start)) s)"
	report $status "$3"
}
fuzz 63 alone "$((count * 63 / 100)) malformed messages (seed $seed): answers and table equal those of a model"
fuzz 13 race 'several senders at once get an answer to every message'
service -t 10.1.0.100:80 rr -- A:m:1 B:i:1
before=$(configuration)
fuzz 10 elsewhere 'messages in another namespace do not change this one'
fuzz 4 others 'messages to the family IPVS_RS change nothing'
fuzz 10 refused 'messages without privilege are refused'
check_eq 'refused messages leave the configuration unchanged' "$(configuration)" "$before"
printf '%s\n' "$modprobe" >/proc/sys/kernel/modprobe
flush
must ip netns del director
unload_all "$IPVS_MODULE"
check 'the module can be unloaded' test ! -d "/sys/module/$IPVS_MODULE"
finish
