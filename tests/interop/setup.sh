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

# shellcheck source=tests/packages.sh
. tests/packages.sh

# What follows runs as a condition, where a failure ends nothing by itself: so every line is joined to the next.

python_apache() { python "$1" aiohttp==3.14.5 apache-flink-statefun==3.3.0 'protobuf<4'; }
python_twin() { python "$1" aiohttp==3.14.5 flink-statefun==3.5.0; }

javascript() {
    need node nodejs &&
        need npm npm &&
        mkdir -p "$TO/$1" &&
        npm install --prefix "$TO/$1" --no-audit --no-fund --loglevel=error apache-flink-statefun@3.3.0
}

java() { maven "$1" "$FUNCTIONS/java/pom.xml"; }

go_tools() {
    need go golang-go && mkdir -p "$TO/$1"
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
    compile java $FUNCTIONS/java javac -d "$TO/java/classes" -cp "$TO/java/dependency/*" \
        "$FUNCTIONS"/java/src/main/java/interop/*.java
    compile go $FUNCTIONS/go env GO111MODULE=off go build -o "$TO/go/interpreter" "$FUNCTIONS"/go/*.go
}

main "$@"
