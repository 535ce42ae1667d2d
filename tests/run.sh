#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Installs what is missing, builds, runs every test, ends with "N passed, N failed".
# On a bare Debian 12, as root or by somebody who may sudo; elsewhere with the
# packages below installed by hand.
#
#   --quick         the default build only, no sanitizers
#   --suite NAME    only this suite of it: unit, init, project, engine, concurrent
#   --keep          leave the build directories where they are
#
# A missing Engine, a build that fails and a program that crashes are failures;
# nothing is skipped. Everything that was made is removed, packages excepted.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
quick= suite= keep=
while [ $# -gt 0 ]; do
	case $1 in
	--quick) quick=1 ;;
	--suite) suite=${2:?--suite needs a name}; shift ;;
	--keep) keep=1 ;;
	*) sed -n '3,13s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
	esac
	shift
done

say() { printf '== %s\n' "$*"; }
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

# ---- what is needed

# program or file:package
needs="cc:build-essential c++:build-essential meson:meson ninja:ninja-build pkg-config:pkg-config
	/usr/include/*/curl/curl.h:libcurl4-openssl-dev /usr/include/cjson/cJSON.h:libcjson-dev
	/usr/include/civetweb.h:libcivetweb-dev /usr/include/check.h:check musl-gcc:musl-tools scdoc:scdoc
	docker-registry:docker-registry openssl:openssl python3:python3 curl:curl ps:procps mawk:mawk objdump:binutils ip:iproute2"
apt_install() {
	[ $# -gt 0 ] || return 0
	say "installing $*"
	as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq >"$scratch/apt.log" 2>&1 &&
		as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >>"$scratch/apt.log" 2>&1 ||
		{ tail -n 40 "$scratch/apt.log" >&2; return 1; }
}
install_missing() {
	missing=
	for need in $needs; do
		case $need in
		/*) for file in ${need%:*}; do break; done; [ -e "$file" ] || missing="$missing ${need##*:}" ;;
		*) command -v "${need%:*}" >/dev/null 2>&1 || missing="$missing ${need##*:}" ;;
		esac
	done
	if ! busybox=$(command -v busybox) || ldd "$busybox" >/dev/null 2>&1; then missing="$missing busybox-static"; fi
	# the Engine last: whether one answers takes curl to know
	# shellcheck disable=SC2086
	apt_install $missing || return 1
	engine_answers || command -v dockerd >/dev/null 2>&1 || apt_install docker.io iptables
}

engine_get() {
	case ${DOCKER_HOST:-unix:///var/run/docker.sock} in
	unix://*) socket=${DOCKER_HOST:-unix:///var/run/docker.sock}; curl -fsS -g -m 30 --unix-socket "${socket#unix://}" "http://localhost$1" ;;
	tcp://*) curl -fsS -g -m 30 "http://${DOCKER_HOST#tcp://}$1" ;;
	*) return 1 ;;
	esac
}
engine_answers() { engine_get /_ping >/dev/null 2>&1; }

dockerd_pid=
start_engine() {
	engine_answers && return 0
	[ -z "${DOCKER_HOST:-}" ] || { say "no Engine answers at $DOCKER_HOST"; return 1; }
	command -v dockerd >/dev/null 2>&1 || { say "no Engine answers and there is no dockerd"; return 1; }
	say "starting dockerd"
	as_root sh -c 'dockerd >"$1/dockerd.log" 2>&1 & echo $! >"$1/dockerd.pid"' sh "$scratch"
	dockerd_pid=$(cat "$scratch/dockerd.pid")
	tries=0
	until engine_answers; do
		tries=$((tries + 1))
		if [ $tries -gt 300 ] || ! as_root kill -0 "$dockerd_pid" 2>/dev/null; then
			say "dockerd does not come up"
			tail -n 20 "$scratch/dockerd.log" >&2
			return 1
		fi
		sleep 0.1
	done
}

# ---- counting

passed=0 failed=0
point() { # point STATUS NAME
	if [ "$1" = 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); say "FAILED: $2"; fi
}
try() { # try NAME COMMAND...: a point of its own
	label=$1; shift
	if "$@" >"$scratch/log" 2>&1; then point 0 "$label"; else point 1 "$label"; tail -n 60 "$scratch/log"; return 1; fi
}

# Add up the points of a build directory's last test run.
count() { # count DIRECTORY NAME STATUS
	numbers=$(python3 "$here/lib/count.py" "$1/meson-logs/testlog.json" "$2" "$3" 3>&1 >&2) || numbers='0 1'
	passed=$((passed + ${numbers% *}))
	failed=$((failed + ${numbers#* }))
}

# ---- a build and its tests

# run_build NAME SUITES MESON-OPTION...
run_build() {
	name=$1 suites=$2; shift 2
	build=$scratch/build-$name
	say "$name: build"
	try "$name: configure" meson setup "$build" "$root" "$@" || return 0
	try "$name: build" ninja -C "$build" || return 0
	[ "$suites" != none ] || return 0
	say "$name: test"
	set --
	for one in $suites; do set -- "$@" --suite "$one"; done
	status=0
	meson test -C "$build" --no-rebuild --print-errorlogs "$@" || status=$?
	count "$build" "$name" "$status"
}

# ---- nothing of ours is left on the Engine

# Containers and networks with a label of ours, and sos-init's cache volumes, a line each.
ours() {
	{
		engine_get '/containers/json?all=1' && echo && engine_get /networks && echo && engine_get /volumes
	} | python3 -c '
import json, sys
containers, networks, volumes = (json.loads(line) for line in sys.stdin if line.strip())
def ours(thing): # sos.test is what every container of a test image inherits
    return any(name.startswith("sos.") and not name.startswith("sos.test") for name in thing.get("Labels") or {})
for thing in filter(ours, containers): print("container", thing["Id"], *thing["Names"])
for thing in filter(ours, networks): print("network", thing["Id"], thing["Name"])
for thing in filter(ours, volumes["Volumes"] or []): print("volume", thing["Name"])' | sort
}
new() { ours >"$scratch/ours.after" && comm -13 "$scratch/ours.before" "$scratch/ours.after" | grep "^$1" || :; }
nothing_left() {
	new 'container\|network' >"$scratch/left"
	cat "$scratch/left"
	[ ! -s "$scratch/left" ]
}
remove_volumes() {
	socket=${DOCKER_HOST:-unix:///var/run/docker.sock}
	for volume in $(new volume | cut -d' ' -f2); do
		curl -fsS -m 30 --unix-socket "${socket#unix://}" -X DELETE "http://localhost/volumes/$volume" || return 1
	done
}

clean_up() {
	[ -z "$dockerd_pid" ] || as_root kill "$dockerd_pid" 2>/dev/null || :
	[ -n "$keep" ] || rm -rf "$scratch"
}

scratch=$(mktemp -d "${TMPDIR:-/tmp}/sos-tests.XXXXXX")
chmod 755 "$scratch"
trap clean_up EXIT
trap 'exit 1' HUP INT TERM

if ! install_missing; then point 1 "install what is missing"; fi
if start_engine; then
	ours >"$scratch/ours.before" || point 1 "the Engine can be asked"
	"$here/lib/images.sh" list >"$scratch/images.before" || :
	try "test images" "$here/lib/images.sh" || :
else
	point 1 "an Engine answers"
fi

if [ -n "$suite" ]; then
	run_build default "$suite"
else
	run_build default "unit init project engine concurrent"
fi
if [ -z "$quick" ] && [ -z "$suite" ]; then
	run_build asan "unit init engine" -Db_sanitize=address,undefined -Db_lundef=false
	run_build tsan concurrent -Db_sanitize=thread -Db_lundef=false
	run_build release unit --buildtype=release --werror
fi

if engine_answers && [ -e "$scratch/ours.before" ]; then
	try "no container or network of ours is left" nothing_left || :
	try "the volumes that were made are removed" remove_volumes || :
	[ -s "$scratch/images.before" ] || try "the images that were made are removed" "$here/lib/images.sh" clean || :
fi
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
