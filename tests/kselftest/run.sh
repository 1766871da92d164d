#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Runs test scripts (those named, or all beside this file) and streams their results as one TAP
# report. With the argument "-", it asks for one script after another: it prints "# next" and reads
# a line from standard input, with a name and perhaps variables for the script (VARIABLE=VALUE). An
# empty line ends the run.
#
# Each script has a time limit: LIMIT, or its line "# timeout: SECONDS", or 180. The limit is nine
# times longer on the debug kernel, unless the clock jumps. A script fails if it dies, reports
# nothing, ends without its plan, or causes a complaint in the kernel log. The last line is "#
# totals: pass:N fail:N skip:N". The exit status is 0 when all checks passed.

set -u
# With lastpipe, the loop at the end of the pipe runs in this shell and can count.
shopt -s lastpipe
here=$(cd "$(dirname "$0")" && pwd)

if [ -z "${TIME_SCALE:-}" ]; then
	if [ -e /proc/lockdep ] && [ "${VM_CLOCK-}" != jumps ]; then TIME_SCALE=5; else TIME_SCALE=1; fi
fi
export TIME_SCALE

# Without libraries, the shell copies itself sooner, which it does for each program.
shell=$(type -P bash-static || echo bash)
pass=0 fail=0 skip=0

# result "ok"|"not ok" NAME
result() {
	printf '%s %d - %s\n' "$1" $((pass + fail + skip + 1)) "$2"
	case "$1 $2" in
	'not ok'*) fail=$((fail + 1)) ;;
	*'# SKIP'*) skip=$((skip + 1)) ;;
	*) pass=$((pass + 1)) ;;
	esac
}

# The kernel warns when it has no memory for a module's trace events (failslab).
known='kernel/trace/trace_events\.c:[0-9]+ at event_(define_fields|file_put)\+'
# complaints MARK: counts them since the line MARK, or all if the kernel has lost that line. A wait
# for the disk ("blocked in I/O wait for") is no complaint: a clock that jumps makes it long.
complaints() {
	dmesg | grep -Ev "$known" | grep -E "$1"'|BUG:|WARNING:|Oops|KASAN:|UBSAN:|ODEBUG:|DEBUG_LOCKS_WARN|refcount_t:|general protection|blocked for more than|rust_kernel: |INFO: rcu|possible recursive locking|circular locking|suspicious RCU|kmemleak: [1-9]' |
		awk -v mark="$1" 'index($0, mark) { n = 0; next } { n++ } END { print n + 0 }'
}

run() {
	local script=$1 name limit reported=0 plan='' failed=$fail line status count number mark start=$SECONDS
	[ -e "$script" ] || script=$here/$script
	[ -e "$script" ] || script=$script.test.sh
	name=$(basename "$script" .sh)
	name=${name%.test}
	limit=${LIMIT:-$(sed -n 's/^# timeout: *\([0-9]*\).*/\1/p' "$script")}
	# On a slow kernel, the limit stops scripts that hang, not scripts that are slow.
	limit=$((${limit:-180} * (2 * TIME_SCALE - 1)))
	printf '# %s\n' "$name"
	mark="run.sh: $name begins at $SECONDS"
	echo "<6>$mark" >/dev/kmsg
	{
		timeout -k 10 "$limit" "$shell" "$script" 2>&1 </dev/null &
		group=$!
		wait $group
		printf 'exit status %d\n' $?
		# A process that the script left behind would hold this pipe open.
		kill -KILL -- -$group 2>/dev/null
	} | while IFS= read -r line; do
		case $line in
		'ok '* | 'not ok '*)
			reported=$((reported + 1))
			number=${line#*ok }
			number=${number%% *}
			[ "$number" = "$reported" ] || printf '# result %s arrived as number %d\n' "$number" "$reported"
			result "${line%%ok *}ok" "$name: ${line#* - }"
			;;
		1..*) plan=${line#1..} ;;
		'exit status '*) status=${line##* } ;;
		*) printf '%s\n' "$line" ;;
		esac
	done
	count=$(complaints "$mark")
	# The loop has counted the failures that the script reported. This counts those that it
	# could not report.
	if [ "$status" -ge 124 ] || { [ "$status" -ne 0 ] && [ $fail -eq "$failed" ]; } || [ "$plan" != "$reported" ] || [ "$reported" -eq 0 ]; then
		printf '# exit status %s, %d results, plan %s\n' "$status" "$reported" "${plan:-missing}"
		result 'not ok' "$name: the script ends within $limit s"
	fi
	if [ "$count" != 0 ]; then
		dmesg | tail -40 | sed 's/^/# /'
		result 'not ok' "$name: the kernel logs no complaint"
	fi
	printf '# %s: %d checks in %d s\n' "$name" "$reported" $((SECONDS - start))
}

# The second of two machines does what the scripts on the first one say.
[ "${MACHINE-}" != 2 ] || exec bash "$here/machines.sh" serve
[ $# -gt 0 ] || set -- "$here"/*.test.sh
printf 'TAP version 13\n'
if [ "$*" = - ]; then
	while printf '# next\n' && read -r script variables && [ -n "$script" ]; do
		# shellcheck disable=SC2163 # their names
		for variable in $variables; do export "$variable"; done
		run "$script"
		for variable in $variables; do unset "${variable%%=*}"; done
	done
else
	for script; do run "$script"; done
fi
[ "${MACHINE-}" != 1 ] || bash "$here/machines.sh" end
printf '1..%d\n' $((pass + fail + skip))
printf '# totals: pass:%d fail:%d skip:%d\n' $pass $fail $skip
[ $fail -eq 0 ] && [ $pass -gt 0 ]
