#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Builds and runs the bench, prints its table and writes JSON beside it.
#
# usage: bench/run.sh [--no-peers] [--quick] [--strict] [--only GROUP[,GROUP]...]
#                     [--many N [--seconds S]] [--json FILE] [--markdown]
#                     [--compare OLD.json] [--build DIRECTORY] [--image IMAGE]
#
#   --no-peers   leave SWE-ReX out (it needs PyPI and a Debian mirror)
#   --quick      a few rounds, to see that everything runs
#   --strict     exit 1 also when a must is missed, not only when calls failed
#   --only       of commands, output, rollouts, crowd, open, starts, cycles
#   --many       instead of all that: N sandboxes alive at once, each executing
#                once a second for S seconds (300)
#   --json       where the JSON goes (default: a file in the temporary directory)
#   --markdown   print the tables once more, as Markdown with the machine's facts
#   --compare    print this run against an earlier one, as bench/compare does
#   --build      a build directory to keep and to use again
#   --image      has bash and the usual tools (default: sos-test:bash, made from
#                this machine's programs; the row on the host compares with it)
#
# Needs root or access to the Engine's socket; the rows on pinned cores need root.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
top=$(dirname "$here")
label=sos.bench=$$
peers=yes build='' json='' compare='' image='' markdown=no flags=()

while [ $# -gt 0 ]; do
	case $1 in
	--no-peers) peers=no ;;
	--quick|--strict) flags+=("$1") ;;
	--only)
		case ,$2, in *,commands,*) ;; *) peers=no ;; esac
		flags+=("$1" "$2"); shift ;;
	--many) peers=no; flags+=("$1" "$2"); shift ;;
	--seconds) flags+=("$1" "$2"); shift ;;
	--markdown) markdown=yes ;;
	--json) json=$2; shift ;;
	--compare) compare=$2; shift ;;
	--build) build=$2; shift ;;
	--image) image=$2; shift ;;
	*) sed -n '3,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0"; exit 2 ;;
	esac
	shift
done

say() { echo "bench: $*" >&2; }
die() { say "$*"; exit 2; }

for tool in docker meson ninja python3; do
	command -v $tool >/dev/null || die "needs $tool"
done
docker version >/dev/null 2>&1 || die "no Engine answers"

scratch=$(mktemp -d)
made_images=()
volumes=$(docker volume ls -q --filter label=sos.init)
cleanup() {
	local left volume
	trap '' INT TERM HUP
	left=$(docker ps -aq --filter "label=$label")
	[ -z "$left" ] || docker rm -fv $left >/dev/null 2>&1 || :
	[ ${#made_images[@]} -eq 0 ] || docker image rm -f "${made_images[@]}" >/dev/null 2>&1 || :
	# sos-init's volume, if it is there because of us; one in use stays.
	for volume in $(docker volume ls -q --filter label=sos.init); do
		grep -qx "$volume" <<<"$volumes" || docker volume rm "$volume" >/dev/null 2>&1 || :
	done
	rm -rf "$scratch"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

build=${build:-$scratch/build}
json=${json:-${TMPDIR:-/tmp}/sos-bench-$(date +%Y%m%d-%H%M%S).json}

say "building"
[ -f "$build/build.ninja" ] || meson setup --buildtype=release -Dtests=false "$build" "$top" >"$scratch/log" 2>&1 ||
	{ cat "$scratch/log" >&2; die "meson failed"; }
ninja -C "$build" bench/sos-bench bench/sos-bench-inside sos-server/sos-server >"$scratch/log" 2>&1 ||
	{ cat "$scratch/log" >&2; die "the build failed"; }

if [ -z "$image" ]; then
	image=sos-test:bash
	docker image inspect $image >/dev/null 2>&1 ||
		made_images+=(sos-test:bash sos-test:busybox sos-test:noshell sos-test:user)
	sh "$top/tests/lib/images.sh" make
fi

# SWE-ReX: its packages in a venv, and an image with this machine's release of Python, so that the venv's compiled
# modules fit inside too.
peer=()
if [ $peers = yes ]; then
	say "installing SWE-ReX (not part of any measurement)"
	missing=()
	command -v mmdebstrap >/dev/null || missing+=(mmdebstrap)
	[ -x /usr/bin/python3 ] && /usr/bin/python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
	[ ${#missing[@]} -eq 0 ] || die "SWE-ReX needs Debian's ${missing[*]} (apt-get install); or use --no-peers"
	. /etc/os-release
	/usr/bin/python3 -m venv "$scratch/venv" || die "the venv failed; or use --no-peers"
	"$scratch/venv/bin/pip" install -q --disable-pip-version-check swe-rex aiohttp ||
		die "no swe-rex or aiohttp from PyPI; or use --no-peers"
	mmdebstrap --quiet --variant=essential --include=python3 --dpkgopt='path-exclude=/usr/share/doc/*' \
		--dpkgopt='path-exclude=/usr/share/locale/*' "$VERSION_CODENAME" "$scratch/python.tar" ||
		die "mmdebstrap failed; or use --no-peers"
	made_images+=("sos-bench:$$")
	docker import --change 'CMD ["python3"]' "$scratch/python.tar" "sos-bench:$$" >/dev/null
	rm "$scratch/python.tar"
	site=$("$scratch/venv/bin/python3" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
	chmod 755 "$scratch"
	peer=(-- "$scratch/venv/bin/python3" "$here/swerex_worker.py" "sos-bench:$$" "$site" "$label")
fi

commit=$(git -C "$top" describe --always --dirty 2>/dev/null) || commit=unknown
status=0
export PYTHONDONTWRITEBYTECODE=1
"$build/bench/sos-bench" --image "$image" --inside "$build/bench/sos-bench-inside" \
	--server "$build/sos-server/sos-server" --label "$label" --json "$json" \
	--commit "$commit" "${flags[@]}" "${peer[@]}" &
# In the background and waited for, so that a signal reaches the trap; ^C reaches sos-bench by itself.
bench=$!
trap 'kill -INT $bench 2>/dev/null; wait $bench; exit 130' INT TERM HUP
wait $bench || status=$?
[ ! -f "$json" ] || echo "JSON: $json"
[ $markdown = no ] || [ ! -f "$json" ] || { echo; python3 "$here/markdown.py" "$json"; }
# What moved is for a person to judge; this run's own status stays what it is.
[ -z "$compare" ] || [ ! -f "$json" ] || { echo; python3 "$here/compare" "$compare" "$json" || :; }
exit $status
