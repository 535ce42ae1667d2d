#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Makes the images that the tests run on from this machine's own programs, so
# that no registry is needed; does nothing for those that are there already.
#
#   sos-test:bash     Debian's bash and the usual tools, root and user `agent`
#   sos-test:busybox  busybox only: a POSIX sh, no bash
#   sos-test:noshell  one static program (probe.c), nothing else
#   sos-test:user     sos-test:bash with user, directory, environment and an
#                     entrypoint that would end at once
#
# usage: images.sh [make|list|clean]     DOCKER_HOST=unix:///... is obeyed
# Goes through the docker CLI where there is one, else through curl.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
repository=sos-test
tags="bash busybox noshell user"

die() { echo "images.sh: $*" >&2; exit 1; }

have() { command -v "$1" >/dev/null 2>&1; }

# The Engine, by whichever client is there.

engine_curl() {
	method=$1 path=$2; shift 2
	case ${DOCKER_HOST:-} in
	'') set -- --unix-socket /var/run/docker.sock "$@" ;;
	unix://*) set -- --unix-socket "${DOCKER_HOST#unix://}" "$@" ;;
	*) die "without the docker CLI only unix:// works as DOCKER_HOST" ;;
	esac
	curl -sS -g --fail-with-body -X "$method" "$@" "http://localhost$path"
}

image_version() {
	if have docker; then
		docker image inspect --format '{{index .Config.Labels "sos.test.version"}}' "$1" 2>/dev/null || :
	else
		engine_curl GET "/images/$1/json" 2>/dev/null | sed -n 's/.*"sos.test.version":"\([^"]*\)".*/\1/p' | head -n 1
	fi
}

# Ours without a name, from an earlier version of this script; those in use stay.
prune_images() {
	if have docker; then
		docker image prune -f --filter label=sos.test=1 >/dev/null
	else
		engine_curl POST '/images/prune?filters={"label":["sos.test=1"]}' >/dev/null
	fi
}

remove_image() {
	if have docker; then
		docker image rm -f "$1" >/dev/null 2>&1 || :
	else
		engine_curl DELETE "/images/$1?force=1" >/dev/null 2>&1 || :
	fi
}

urlencode() { printf %s "$1" | od -An -v -tx1 | tr -d '\n' | sed 's/ /%/g'; }

# import_root DIRECTORY TAG [CHANGE]...
import_root() {
	root=$1 tag=$2; shift 2
	archive=$scratch/$tag.tar
	tar -C "$root" --numeric-owner --owner=0 --group=0 --exclude=./home/agent -cf "$archive" .
	[ ! -d "$root/home/agent" ] ||
		tar -C "$root" --numeric-owner --owner=1000 --group=1000 -rf "$archive" ./home/agent
	set -- "LABEL sos.test=1" "LABEL sos.test.version=$version" "$@"
	if have docker; then
		n=$#
		while [ "$n" -gt 0 ]; do
			set -- "$@" --change "$1"; shift; n=$((n - 1))
		done
		docker import "$@" "$archive" "$repository:$tag" >/dev/null
	else
		query="fromSrc=-&repo=$repository&tag=$tag"
		for change in "$@"; do query="$query&changes=$(urlencode "$change")"; done
		engine_curl POST "/images/create?$query" -H 'Content-Type: application/x-tar' -T "$archive" >"$scratch/answer"
		! grep -q '"error"' "$scratch/answer" || die "$(cat "$scratch/answer")"
	fi
	rm -f "$archive"
}

# What goes into them.

# copy_program ROOT PATH: with the libraries that it is linked with
copy_program() {
	copied=$1/usr/bin/${2##*/}
	cp -L "$2" "$copied"
	chmod 755 "$copied"
	ldd "$2" 2>/dev/null | grep -o '/[^ ]*' | while read -r library; do
		[ -e "$1$library" ] || { mkdir -p "$1${library%/*}"; cp -L "$library" "$1$library"; }
	done
}

skeleton() {
	mkdir -p "$1/usr/bin" "$1/usr/lib" "$1/etc" "$1/root" "$1/tmp" "$1/var/tmp" "$1/home/agent" "$1/dev" "$1/proc" "$1/sys"
	ln -s usr/bin "$1/bin"
	ln -s usr/bin "$1/sbin"
	ln -s usr/lib "$1/lib"
	ln -s usr/lib "$1/lib64"
	chmod 1777 "$1/tmp" "$1/var/tmp"
	chmod 700 "$1/root"
	cat >"$1/etc/passwd" <<-PASSWD
	root:x:0:0:root:/root:$2
	agent:x:1000:1000:agent:/home/agent:$2
	nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
	PASSWD
	cat >"$1/etc/group" <<-GROUP
	root:x:0:
	agent:x:1000:
	users:x:100:agent
	nogroup:x:65534:
	GROUP
	chmod 644 "$1/etc/passwd" "$1/etc/group"
}

bash_programs="bash dash env ls cat cp mv rm mkdir rmdir ln touch chmod chown chgrp sleep grep sed diff cmp od tr head
	tail seq wc tee sort uniq cut paste sha256sum md5sum kill ps printf test true false echo date id whoami pwd mktemp
	readlink realpath stat dd mkfifo basename dirname find xargs nohup timeout stty tty uname hostname expr yes nproc du
	df base64 setsid mawk gzip tar nice tac rev fold truncate sync split"

make_bash() {
	root=$scratch/bash
	skeleton "$root" /bin/bash
	for name in $bash_programs; do
		path=$(command -v "$name" 2>/dev/null || :)
		case $path in
		/*) ;;
		*) path=/usr/bin/$name ;; # a builtin of this shell
		esac
		[ -x "$path" ] || continue
		copy_program "$root" "$path"
	done
	for needed in bash env ls cat sleep grep sed diff od tr head seq wc tee sha256sum ps; do
		[ -x "$root/usr/bin/$needed" ] || die "this machine has no $needed to put into the image"
	done
	ln -s dash "$root/usr/bin/sh"
	[ ! -e "$root/usr/bin/mawk" ] || ln -s mawk "$root/usr/bin/awk"
	cp "$scratch/probe" "$root/usr/bin/probe"
	for locale in /usr/lib/locale/C.utf8 /usr/lib/locale/C.UTF-8; do
		[ ! -d "$locale" ] || { mkdir -p "$root/usr/lib/locale"; cp -rL "$locale" "$root/usr/lib/locale/"; }
	done
}

make_busybox() {
	root=$scratch/busybox
	skeleton "$root" /bin/sh
	busybox=$(command -v busybox) || die "no busybox here (package busybox-static)"
	ldd "$busybox" >/dev/null 2>&1 && die "$busybox is not static (package busybox-static)"
	cp "$busybox" "$root/usr/bin/busybox"
	"$busybox" --list | while read -r applet; do
		[ "$applet" = busybox ] || ln -s busybox "$root/usr/bin/$applet"
	done
	cp "$scratch/probe" "$root/usr/bin/probe"
}

make_noshell() {
	root=$scratch/noshell
	mkdir -p "$root"
	cp "$scratch/probe" "$root/probe"
}

needs() { [ "$(image_version "$repository:$1")" != "$version" ]; }

make_all() {
	have docker || have curl || die "needs the docker CLI or curl"
	version=$(cat "$0" "$here/probe.c" "$(command -v bash)" | cksum | cut -d' ' -f1)
	wanted=
	for tag in $tags; do
		if needs "$tag"; then wanted="$wanted $tag"; fi
	done
	[ -n "$wanted" ] || return 0

	umask 022
	scratch=$(mktemp -d)
	trap 'rm -rf "$scratch"' EXIT
	trap 'exit 1' HUP INT TERM
	if have musl-gcc; then cc=musl-gcc; else cc=${CC:-cc}; fi
	$cc -O1 -static -o "$scratch/probe" "$here/probe.c"
	case $wanted in *bash*|*user*) make_bash ;; esac
	for tag in $wanted; do
		case $tag in
		bash) import_root "$scratch/bash" bash 'CMD ["/bin/bash"]' ;;
		busybox) make_busybox; import_root "$scratch/busybox" busybox 'CMD ["/bin/sh"]' ;;
		noshell) make_noshell; import_root "$scratch/noshell" noshell 'ENTRYPOINT ["/probe"]' ;;
		user) import_root "$scratch/bash" user 'USER agent' 'WORKDIR /home/agent' \
			'ENV FROM_IMAGE="of the image"' 'ENV PATH=/usr/bin:/home/agent/bin' \
			'ENTRYPOINT ["/bin/false"]' 'CMD ["never", "run"]' 'VOLUME /var/tmp' ;;
		esac
	done
	prune_images
}

case ${1:-make} in
make) make_all ;;
list) for tag in $tags; do [ -z "$(image_version "$repository:$tag")" ] || echo "$repository:$tag"; done ;;
clean)
	for tag in $tags; do remove_image "$repository:$tag"; done
	prune_images
	;;
*) die "usage: images.sh [make|list|clean]" ;;
esac
