#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# newcomer: the README's first screen in a fresh Debian 12 with nothing but git.
#
# Makes a minimal Debian in a temporary folder, clones the committed tree into it, runs `./run demo` there, and
# expects the answers that the README shows, after a `kill -9` too. Needs root, debootstrap and the network; takes
# packages from where this machine takes them. Everything it starts ends with it.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."

root=""
cleanup() { [ -z "$root" ] || rm -rf --one-file-system "$root"; }
trap cleanup EXIT

# What this machine needs to reach package indexes, and a fresh one would have been told too.
copy_network_settings() {
    local file
    cp -L /etc/resolv.conf "$root/etc/resolv.conf"
    cp -L /etc/hosts "$root/etc/hosts"
    for file in /etc/apt/apt.conf /etc/apt/apt.conf.d/*; do
        if [ -e "$file" ] && grep -qs '^Acquire::[A-Za-z-]*' "$file" && ! grep -qs 'Post-Invoke\|{' "$file"; then
            cp "$file" "$root/etc/apt/apt.conf.d/"
        fi
    done
    mkdir -p "$root/etc/newcomer"
    cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/newcomer/ca.crt"
    { python3 -m pip config list 2>/dev/null || true; } | sed -nE "s/^global\.(index-url|extra-index-url|proxy)=/\1 = /p" |
        tr -d "'" | { echo "[global]" && cat && echo "cert = /etc/newcomer/ca.crt"; } >"$root/etc/pip.conf"
}

make_debian() {
    command -v debootstrap >/dev/null || apt-get install -q -y --no-install-recommends debootstrap
    root=$(mktemp -d /var/tmp/proa-newcomer-XXXXXX)
    debootstrap --variant=minbase bookworm "$root" >"$root.log" 2>&1 || {
        tail "$root.log"
        return 1
    }
    rm -f "$root.log"
    copy_network_settings
    git bundle create --quiet "$root/proa.bundle" HEAD
}

# within COMMAND: runs it in the new Debian, as root, with no variable of this machine but the proxies.
within() {
    env -i HOME=/root LANG=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive \
        ${http_proxy:+http_proxy="$http_proxy"} ${https_proxy:+https_proxy="$https_proxy"} \
        ${no_proxy:+no_proxy="$no_proxy"} \
        unshare --mount --pid --fork --kill-child --mount-proc="$root/proc" chroot "$root" bash -euo pipefail -c "$1"
}

make_debian
within 'apt-get update -q && apt-get install -q -y --no-install-recommends git' >/dev/null
# The quotes are meant: everything below happens in there.
# shellcheck disable=SC2016
within '
    cd && git clone --quiet /proa.bundle proa && cd proa
    ./run demo >demo.out 2>&1 &
    demo=$!
    for _ in $(seq 1200); do
        grep -q Ctrl-C demo.out && break
        kill -0 $demo || { cat demo.out; exit 1; }
        sleep 0.5
    done
    cat demo.out
    [ "$(grep -A1 "json 5" demo.out | tail -n 1)" = 5 ]
    [ "$(grep -A1 "json 2" demo.out | tail -n 1)" = 7 ]
    kill -9 $(cat build/demo-data.logs/host.pid)
    until curl --silent --fail --output /dev/null localhost:8095/readyz; do sleep 0.1; done
    [ "$(curl --silent localhost:8090/v1/ask/example/counter/bob --json 1)" = 8 ]
    kill -TERM $demo
    wait $demo
    echo "a newcomer sees 5, 7 and, after kill -9, 8"
'
