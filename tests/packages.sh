# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# packages: what setup scripts of tests share: installing foreign packages once, and a reason where they cannot be had.
#
# Sourced, with TO set to the folder for what is made. Every NAME leaves there NAME.stamp, or NAME.missing with the
# reason why its packages could not be installed.

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

# need COMMAND PACKAGE...: installs the Debian packages if the command is missing.
need() {
    local command=$1
    shift
    command -v "$command" >/dev/null && return
    as_root env DEBIAN_FRONTEND=noninteractive apt-get update -q &&
        as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@"
}

# reason_in LOG: its first line about an error, or its last one.
reason_in() {
    grep -m 1 -iE '^(npm )?(e:|err)|\[error\]|error:' "$1" || tail -n 1 "$1"
}

# make NAME FUNCTION SOURCE...: runs the function unless it has succeeded as it is now, with these sources.
make() {
    local name=$1 function=$2 stamp
    shift 2
    stamp=$({ declare -f need python maven "$function" && echo "$PWD" && cat /dev/null "$@"; } | sha256sum)
    [ "$(cat "$TO/$name.stamp" 2>/dev/null)" != "$stamp" ] || return 0
    printf '%s: preparing %s\n' "$(basename "$TO")" "$name"
    rm -rf "${TO:?}/$name" "$TO/$name".{stamp,missing}
    if "$function" "$name" >"$TO/$name.log" 2>&1; then
        printf '%s\n' "$stamp" >"$TO/$name.stamp"
    else
        printf 'its packages could not be installed: %s\n' "$(reason_in "$TO/$name.log")" |
            tee "$TO/$name.missing"
    fi
}

# What follows runs as a condition, where a failure ends nothing by itself: so every line is joined to the next.

# python FOLDER REQUIREMENT...: a virtual environment.
python() {
    local folder=$1
    shift
    need python3 python3-venv &&
        /usr/bin/python3 -m venv "$TO/$folder" &&
        "$TO/$folder/bin/pip" install --quiet --disable-pip-version-check "$@"
}

# maven FOLDER POM: what a pom depends on, as FOLDER/dependency/*.jar.
maven() {
    need javac openjdk-17-jdk-headless &&
        need mvn maven &&
        mvn -q -B -f "$2" -Dtarget="$PWD/$TO/$1" dependency:copy-dependencies
}

# compile NAME SOURCES COMMAND...: compiles a program of ours if NAME is there and anything in the folder SOURCES has
# changed; a failure is ours and ends the script.
compile() {
    local name=$1 sources=$2 stamp
    shift 2
    [ -e "$TO/$name.stamp" ] || return 0
    stamp=$({ echo "$@" && cat "$TO/$name.stamp" && find "$sources" -type f -exec cat {} +; } | sha256sum)
    [ "$(cat "$TO/$name/compiled" 2>/dev/null)" != "$stamp" ] || return 0
    "$@"
    printf '%s\n' "$stamp" >"$TO/$name/compiled"
}
