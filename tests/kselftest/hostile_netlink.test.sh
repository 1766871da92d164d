#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Malformed netlink messages of all commands: each is answered, what is refused changes nothing, what is accepted is
# legal and changes what it says; from another namespace, without privilege, and from several at once. Nothing is in
# the kernel's log (run.sh looks) and the module can go afterwards. HOSTILE_MESSAGES says how many (100000),
# HOSTILE_SEED which.
# timeout: 120

# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"

count=${HOSTILE_MESSAGES:-100000}
seed=${HOSTILE_SEED:-1}

if [ "$IPVS_MODULE" = ip_vs ]; then
	skip 'hostile netlink messages' 'the expectations are those of our documentation'
	finish
fi

unload_all "$IPVS_MODULE"
must module_load "$IPVS_MODULE"
for module in "$(dirname "$(module_path "$IPVS_MODULE")")/${IPVS_MODULE}"_*.ko*; do
	module=$(basename "$module")
	must module_load "${module%%.ko*}"
done
# A scheduler that does not exist would start modprobe each time, which is all that the machine would do.
modprobe=$(</proc/sys/kernel/modprobe)
echo >/proc/sys/kernel/modprobe

must ip netns add director
must ip -n director link set lo up

# fuzz PERCENT MODE NAME: so many of all messages.
fuzz() {
	local out status start=$SECONDS
	out=$(on director python3 "$here/netlink_fuzz.py" "$2" "$seed" $((count * $1 / 100)) 2>&1)
	status=$?
	note "$out ($((SECONDS - start)) s)"
	report $status "$3"
}
fuzz 50 alone "$count malformed messages, seed $seed: answers and table are those of a model"
fuzz 26 race 'several senders at once'
service -t 10.1.0.100:80 rr -- A:m:1 B:i:1
before=$(configuration)
fuzz 10 elsewhere 'messages in another namespace'
fuzz 4 others 'messages to our own family'
fuzz 10 refused 'messages without privilege'
check_eq 'they change nothing' "$(configuration)" "$before"
printf '%s\n' "$modprobe" >/proc/sys/kernel/modprobe
flush
must ip netns del director
unload_all "$IPVS_MODULE"
check 'the module can be unloaded' test ! -d "/sys/module/$IPVS_MODULE"
finish
