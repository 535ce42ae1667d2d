#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# From a bare Debian 12 to a sandbox that ran commands, and back: installs what is missing from Debian, starts an
# Engine if none answers, gets or makes an image, builds SoS, runs the manual's workflow against a server of its own
# on a free port, and leaves nothing behind but the packages it installed.
#
# usage: examples/quickstart.sh        as root; as another user where nothing has to be installed or started
#
# DOCKER_HOST=unix:///path chooses an Engine. Ends with 0 if everything came out as the manual says.
set -euo pipefail

top=$(cd "$(dirname "$0")/.." && pwd)
work='' engine_pid='' server_pid='' image='' pulled='' made_images='' volumes_before='' run_new=''

step() { printf '\n== %s\n' "$*"; }
note() { printf '   %s\n' "$*"; }
die() { printf 'quickstart: %s\n' "$*" >&2; exit 1; }

# ---- the Engine, by its API: no docker program is needed -------------------------------------------------------------

socket_path() {
	case ${DOCKER_HOST:-} in
	'') echo /var/run/docker.sock ;;
	unix://*) echo "${DOCKER_HOST#unix://}" ;;
	*) die "DOCKER_HOST=$DOCKER_HOST: this script needs unix:///path" ;;
	esac
}

# api METHOD PATH [CURL-OPTION]...
api() {
	local method=$1 path=$2
	shift 2
	curl -sS -g --fail-with-body --unix-socket "$(socket_path)" -X "$method" "$@" "http://localhost$path"
}

engine_answers() { api GET /_ping -m 5 >/dev/null 2>&1; }
image_exists() { api GET "/images/$1/json" >/dev/null 2>&1; }

# The names of the volumes that hold sos-init.
volumes() {
	api GET '/volumes?filters={"label":["sos.init"]}' | python3 -c '
import json, sys
print(" ".join(volume["Name"] for volume in json.load(sys.stdin)["Volumes"] or []))'
}

# ---- leaving nothing behind ------------------------------------------------------------------------------------------

cleanup() {
	local status=$? volume made directory
	trap '' INT TERM HUP
	set +e
	[ -z "$server_pid$engine_pid$pulled$made_images" ] || step "Cleaning up"
	# The server removes its own containers and network when it ends.
	[ -z "$server_pid" ] || { kill "$server_pid" 2>/dev/null; wait "$server_pid" 2>/dev/null; note "server stopped"; }
	if [ -n "$engine_pid" ]; then
		kill "$engine_pid" 2>/dev/null
		wait "$engine_pid" 2>/dev/null
		grep -o " $work/[^ ]*" /proc/mounts | sort -r | xargs -r umount -l
		for directory in $run_new; do
			[ ! -d "$directory" ] || find "$directory" -depth -type d -empty -delete
		done
		note "Engine stopped; its images and volumes go with its directory"
	elif [ -n "$work" ]; then
		for volume in $(volumes 2>/dev/null); do
			[[ " $volumes_before " = *" $volume "* ]] || api DELETE "/volumes/$volume" >/dev/null 2>&1
		done
		for made in $pulled $made_images; do
			api DELETE "/images/$made" >/dev/null 2>&1 && note "removed image $made"
		done
	fi
	[ -z "$work" ] || rm -rf "$work"
	exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# ---- what is needed --------------------------------------------------------------------------------------------------

missing_packages() {
	local program
	for program in gcc:gcc meson:meson ninja:ninja-build pkg-config:pkg-config musl-gcc:musl-tools curl:curl \
		python3:python3; do
		command -v "${program%%:*}" >/dev/null || echo "${program#*:}"
	done
	[ -e /usr/include/stdio.h ] || echo libc6-dev
	pkg-config --exists libcurl 2>/dev/null || echo libcurl4-openssl-dev
	pkg-config --exists libcjson 2>/dev/null || echo libcjson-dev
	[ -e /usr/include/civetweb.h ] || echo libcivetweb-dev
}

install() {
	[ $# -gt 0 ] || return 0
	[ "$(id -u)" = 0 ] || die "needs root to install: $*"
	command -v apt-get >/dev/null || die "this is no Debian; install by hand: $*"
	note "installing $*"
	export DEBIAN_FRONTEND=noninteractive
	apt-get update -qq
	apt-get install -y -qq --no-install-recommends "$@" >"$work/apt.log" 2>&1 ||
		{ tail -n 20 "$work/apt.log" >&2; die "apt-get could not install $*"; }
}

# wait_until SECONDS PID COMMAND...: until the command works, as long as the process lives
wait_until() {
	local deadline=$((SECONDS + $1)) pid=$2
	shift 2
	until "$@"; do
		kill -0 "$pid" 2>/dev/null && [ $SECONDS -lt $deadline ] || return 1
		sleep 0.1 # neither end announces its socket to a shell
	done
}

# An Engine of our own: everything it keeps is in our directory, it leaves the firewall alone and makes no docker0
# of its own. A docker0 that is there belongs to another Engine and must then not be declined: dockerd would remove
# it. Where no other storage driver works (an overlay below) it is asked for vfs, which always does.
start_engine() {
	local driver directory bridge=none
	note "no Engine answers at $(socket_path): starting one"
	command -v dockerd >/dev/null || install docker.io
	# The package may have started one.
	engine_answers && return 0
	[ "$(id -u)" = 0 ] || die "needs root to start an Engine"
	[ ! -e /sys/class/net/docker0 ] || bridge=''
	export DOCKER_HOST=unix://$work/docker.sock
	for directory in /run/docker /run/containerd; do
		[ -d $directory ] || run_new="$run_new $directory"
	done
	for driver in '' vfs; do
		dockerd --host "$DOCKER_HOST" --data-root "$work/data" --exec-root "$work/exec" --pidfile "$work/pid" \
			${driver:+--storage-driver "$driver"} ${bridge:+--bridge $bridge} --iptables=false --ip6tables=false \
			--ip-forward=false >"$work/dockerd.log" 2>&1 &
		engine_pid=$!
		if wait_until 60 $engine_pid engine_answers; then
			note "started dockerd for the time of this script"
			return 0
		fi
		kill "$engine_pid" 2>/dev/null || :
		wait "$engine_pid" || :
		engine_pid=''
	done
	tail -n 5 "$work/dockerd.log" >&2
	die "dockerd does not start here"
}

get_image() {
	local name
	image=ubuntu:latest
	if image_exists $image; then
		note "$image is there"
		return
	fi
	note "pulling $image"
	# An error in the middle of a pull is in the stream, not in the status: so look for the image itself.
	api POST '/images/create?fromImage=ubuntu&tag=latest' -m 300 >"$work/pull.log" 2>/dev/null || :
	if image_exists $image; then
		pulled=$image
		return
	fi
	image=sos-test:bash
	note "the Engine says: $(tail -n 1 "$work/pull.log" | python3 -c '
import json, sys
answer = json.loads(sys.stdin.read() or "{}")
print((answer.get("message") or answer.get("error") or "nothing")[:160])' 2>/dev/null)"
	note "ubuntu:latest can't be had: using $image instead, made from programs of this machine"
	command -v ps >/dev/null || install procps
	command -v busybox >/dev/null || install busybox-static
	for name in bash busybox noshell user; do
		image_exists sos-test:$name || made_images="$made_images sos-test:$name"
	done
	sh "$top/tests/lib/images.sh" make
}

# ---- the workflow ----------------------------------------------------------------------------------------------------

# run COMMAND-LINE [EXPECTED]: show it, run it, show and check what it printed
run() {
	local output status=0
	printf '$ %s\n' "$1"
	output=$(eval "$1" 2>&1) || status=$?
	[ -z "$output" ] || printf '%s\n' "$output"
	[ $status = 0 ] || die "that ended with $status"
	[ $# -lt 2 ] || [ "$output" = "$2" ] || die "expected: $2"
}

workflow() {
	local port
	port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
	# The server's sockets and the session's history go with our directory too.
	mkdir -m 700 "$work/run"
	export XDG_RUNTIME_DIR=$work/run XDG_STATE_HOME=$work/run SOS_SERVER=http://localhost:$port
	export PATH=$work/build/sos-cli:$PATH
	printf '$ sos serve --port %s &\n' "$port"
	sos serve --port "$port" >"$work/server.log" 2>&1 &
	server_pid=$!
	wait_until 30 $server_pid curl -sf -o /dev/null "http://127.0.0.1:$port/readyz" ||
		{ cat "$work/server.log" >&2; die "the server did not get ready"; }
	printf '$ export SOS_SERVER=%s\n' "$SOS_SERVER"

	printf '$ ID=$(sos sandbox create --image %s | grep "Sandbox created" | cut -d'"' '"' -f5)\n' "$image"
	ID=$(sos sandbox create --image "$image" | grep "Sandbox created" | cut -d' ' -f5)
	export ID
	note "$ID"
	run 'sos sandbox start $ID'
	run 'sos sandbox exec $ID "cd /tmp"'
	run 'sos sandbox exec $ID "echo \$PWD"' /tmp
	run "sos sandbox exec \$ID \"echo 'Hello World' > test.txt\""
	run 'sos sandbox exec $ID "cat test.txt"' 'Hello World'
	run 'sos sandbox exec $ID "exit_code() { return 7; }; exit_code" || echo "it ended with $?"' 'it ended with 7'
	run 'sos sandbox list'
	run 'sos sandbox trajectory $ID --formatted'
	run 'sos sandbox stop $ID'
	run "printf 'cd /usr\\npwd\\n' | sos session --image $image | tail -n 1" /usr
}

work=$(mktemp -d /tmp/sos-quickstart.XXXXXX)

step "What is needed"
install $(missing_packages)
engine_answers || start_engine
version=$(api GET /version | python3 -c 'import json, sys; print(json.load(sys.stdin)["Version"])')
note "Engine at $(socket_path): $version"
volumes_before=$(volumes)

step "An image"
get_image
note "using $image"

step "Building"
{ meson setup --buildtype=release -Dtests=false -Dbench=false "$work/build" "$top" && ninja -C "$work/build"; } \
	>"$work/build.log" 2>&1 || { tail -n 30 "$work/build.log" >&2; die "the build failed"; }
note "built sos, sos-server and libsos"

step "The workflow of the manual"
workflow

step "Everything came out as the manual says"
