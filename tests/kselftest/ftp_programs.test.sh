#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# FTP through NAT with the servers and clients that people run: proftpd, pure-ftpd and pyftpdlib;
# lftp, tnftp and curl. Each pair transfers by every command, over both families, at an address
# whose text is longer or shorter than that of the server. ftp.test.sh has vsftpd and all else. The
# C director runs the same script.
# timeout: 600
# kernel: debug, because only texts of programs differ from ftp.test.sh

# Functions are called by name and through wait_for.
# shellcheck disable=SC2086,SC2317
# shellcheck source=tests/kselftest/lib.sh
. "$(dirname "$0")/lib.sh"

unload_all "$IPVS_MODULE"
drop_in
must module_load "$IPVS_MODULE"
[ "$IPVS_MODULE" = ipvs_rs ] || must module_load ip_vs_ftp
topology_up
root=$work/ftp
mkdir -p "$root/in"
echo A >"$root/who"
head -c 100000 /dev/urandom >"$work/up"
chmod 755 "$work" "$root"
chown ftp "$root/in"
program=
trap 'stop_server; clean_up' EXIT

# --- servers: each runs in the network of A, with its output in a file ----------------------------

server_proftpd() {
	cat >"$work/proftpd.conf" <<-END
		ModulePath /opt/proftpd-core/usr/lib/proftpd
		LoadModule mod_ls.c
		LoadModule mod_xfer.c
		ServerType standalone
		DefaultServer on
		UseIPv6 on
		Port 21
		User ftp
		Group nogroup
		PidFile $work/proftpd.pid
		ScoreboardFile none
		AuthPAM off
		UseReverseDNS off
		WtmpLog off
		PassivePorts 40000 40100
		<Anonymous $root>
		  User ftp
		  Group nogroup
		  UserAlias anonymous ftp
		  RequireValidShell off
		  AllowOverwrite on
		</Anonymous>
	END
	exec on A /opt/proftpd-core/usr/sbin/proftpd --nodaemon --config "$work/proftpd.conf"
}
server_pureftpd() {
	# Its anonymous users see the home of the user ftp.
	exec on A unshare --mount sh -c \
		"mount --bind '$root' ~ftp && exec /opt/pure-ftpd/usr/sbin/pure-ftpd --anonymousonly --dontresolve --passiveportrange 40000:40100"
}
server_pyftpdlib() {
	exec on A python3 -W ignore -m pyftpdlib --interface :: --port 21 --directory "$root" --range 40000-40100 --write
}
# The sum of the file that arrived.
uploaded() { { [ ! -e "$root/in/up" ] || cat "$root/in/up"; } | md5sum; }
start_server() {
	"server_$1" >"$work/server.log" 2>&1 &
	program=$!
	wait_for 20 on A sh -c "ss -Hlnt 'sport = :21' | grep -q ." || bail "$1: $(tail -n 5 "$work/server.log")"
}
stop_server() {
	[ -n "$program" ] || return 0
	kill "$program"
	wait "$program"
	program=
} 2>/dev/null

# The clock of the debug kernel jumps to the next timeout while a program waits for the disk. The
# kernel does nothing then. So everything is read before the first transfer.
{
	for file in /opt/proftpd-core/usr/sbin/proftpd /opt/proftpd-core/usr/lib/proftpd/mod_{ls,xfer}.so /opt/pure-ftpd/usr/sbin/pure-ftpd \
		"$(command -v curl)" "$(command -v lftp)" "$(command -v tnftp)" "$(command -v python3)"; do
		echo "$file"
		ldd "$file" | grep -o '/[^ ]*'
	done
	python3 -c 'import sys, pyftpdlib.servers, pyftpdlib.handlers
for module in list(sys.modules.values()): print(getattr(module, "__cached__", None) or "/dev/null")'
} 2>/dev/null | sort -u | xargs cat >/dev/null 2>&1

# --- clients: CLIENT COMMAND ADDRESS downloads a file twice and uploads one -----------------------

# Clients have much time: see above.

client_curl() {
	local options
	case $1 in
	PASV) options=--disable-epsv ;;
	EPSV) options=--ftp-pasv ;;
	PORT) options='--ftp-port - --disable-eprt' ;;
	EPRT) options='--ftp-port -' ;;
	esac
	curl_tells $options "ftp://$2/who" "ftp://$2/who"
	curl_tells $options -T "$work/up" "ftp://$2/in/up"
}
# curl_tells OPTION…: the errors of a transfer, with the whole conversation and its times.
curl_tells() {
	on client curl -sSv --trace-time --max-time 120 "$@" 2>"$work/talk"
	! grep -qa '^curl: ' "$work/talk" || tail -n 80 "$work/talk" >&2
}
client_lftp() {
	local passive=off epsv=off
	case $1 in *PSV | PASV) passive=on ;; esac
	case $1 in E*) epsv=on ;; esac
	on client env HOME="$work" lftp -c "set net:timeout 100; set net:max-retries 1; set ftp:passive-mode $passive; set ftp:prefer-epsv $epsv
		set ftp:use-feat off; set ftp:fix-pasv-address off; open ftp://$2; cat who; cat who; put -O in $work/up"
}
client_tnftp() {
	local mode='' epsv=on
	case $1 in PORT | EPRT) mode=-A ;; esac
	case $1 in PASV | PORT) epsv=off ;; esac
	printf '%s\n' "$([ $epsv = on ] || echo epsv4 off)" 'binary' "get who $work/got" "get who $work/got2" "put $work/up in/up" bye |
		on client env HOME="$work" tnftp -V -a -q 100 $mode "${2//[\[\]]/}" >/dev/null
	cat "$work/got" "$work/got2"
	rm -f "$work/got" "$work/got2"
}

for name in proftpd pureftpd pyftpdlib; do
	start_server $name
	for client in curl lftp tnftp; do
		for row in '4 10.1.0.100 PASV EPSV PORT EPRT' '4 10.1.0.1 PASV' '6 [fd00:0:0:1::100] EPSV EPRT'; do
			read -r family at modes <<<"$row"
			service -t "$at:21" rr -- A:m:1
			for mode in $modes; do
				# They have no option for these.
				case $client/$family/$mode in lftp/4/EPRT | tnftp/4/PORT) continue ;; esac
				# The C director expects a server's connection from port 20 only.
				case $IPVS_MODULE/$name/$mode in ip_vs/p[ry]*/?P?T | ip_vs/p[ry]*/PORT) continue ;; esac
				rm -f "$root/in/up"
				got=$("client_$client" $mode "$at" 2>"$work/errors" | xargs)
				check_eq "$name and $client at $at, $mode: files arrive both ways" \
					"$got $(uploaded)$(cat "$work/errors")" "A A $(md5sum <"$work/up")"
			done
			flush
		done
	done
	stop_server
done
finish
