#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# setup.sh: what the interoperability tests need, under build/interop: one folder for each language, with its SDK.
#
# Does nothing where nothing has changed. A language that cannot be installed leaves the reason in
# build/interop/<language>.missing, and its tests are skipped with it; every other failure ends this script.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."

readonly TO=build/interop FUNCTIONS=tests/interop/functions

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

# make LANGUAGE FUNCTION SOURCE...: runs the function unless it has succeeded as it is now, with these sources.
make() {
    local language=$1 function=$2 stamp
    shift 2
    stamp=$({ declare -f need python "$function" && echo "$PWD" && cat /dev/null "$@"; } | sha256sum)
    [ "$(cat "$TO/$language.stamp" 2>/dev/null)" != "$stamp" ] || return 0
    printf 'interop: preparing %s\n' "$language"
    rm -rf "${TO:?}/$language" "$TO/$language".{stamp,missing}
    if "$function" "$language" >"$TO/$language.log" 2>&1; then
        printf '%s\n' "$stamp" >"$TO/$language.stamp"
    else
        printf 'its packages could not be installed: %s\n' "$(reason_in "$TO/$language.log")" |
            tee "$TO/$language.missing"
    fi
}

# What follows runs as a condition, where a failure ends nothing by itself: so every line is joined to the next.

# python FOLDER REQUIREMENT...
python() {
    local folder=$1
    shift
    need python3 python3-venv &&
        /usr/bin/python3 -m venv "$TO/$folder" &&
        "$TO/$folder/bin/pip" install --quiet --disable-pip-version-check aiohttp==3.14.5 "$@"
}
python_apache() { python "$1" apache-flink-statefun==3.3.0 'protobuf<4'; }
python_twin() { python "$1" flink-statefun==3.5.0; }

javascript() {
    need node nodejs &&
        need npm npm &&
        mkdir -p "$TO/$1" &&
        npm install --prefix "$TO/$1" --no-audit --no-fund --loglevel=error apache-flink-statefun@3.3.0
}

java() {
    need javac openjdk-17-jdk-headless &&
        need mvn maven &&
        mvn -q -B -f "$FUNCTIONS/java/pom.xml" -Dinterop.target="$PWD/$TO/$1" dependency:copy-dependencies
}

go_tools() {
    need go golang-go && mkdir -p "$TO/$1"
}

# compile LANGUAGE COMMAND...: compiles our own program if the language is there; a failure is ours and ends this script.
compile() {
    local language=$1 stamp
    shift
    [ -e "$TO/$language.stamp" ] || return 0
    stamp=$({ echo "$@" && find "$FUNCTIONS/$language" -type f -exec cat {} +; } | sha256sum)
    [ "$(cat "$TO/$language/compiled" 2>/dev/null)" != "$stamp" ] || return 0
    "$@"
    printf '%s\n' "$stamp" >"$TO/$language/compiled"
}

main() {
    mkdir -p "$TO"
    exec 9>"$TO/setup.lock"
    flock 9
    make py33 python_apache
    make js javascript
    make py35 python_twin
    make java java "$FUNCTIONS/java/pom.xml"
    make go go_tools
    compile java javac -d "$TO/java/classes" -cp "$TO/java/dependency/*" "$FUNCTIONS"/java/src/main/java/interop/*.java
    compile go env GO111MODULE=off go build -o "$TO/go/interpreter" "$FUNCTIONS"/go/*.go
}

main "$@"
