#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# setup.sh [bench]: StateFun's runtime and our programs on it, under build/statefun; `bench`: those of the benchmark too.
#
# Does nothing where nothing has changed. What cannot be installed leaves the reason in build/statefun/<name>.missing,
# and its tests are skipped with it; every other failure ends this script.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."

readonly TO=build/statefun RUNTIME=tests/statefun/java BENCH=tests/bench/java

# shellcheck source=tests/packages.sh
. tests/packages.sh

runtime() { maven "$1" "$RUNTIME/pom.xml"; }
bench() { maven "$1" "$BENCH/pom.xml"; }

main() {
    mkdir -p "$TO"
    exec 9>"$TO/setup.lock"
    flock 9
    make runtime runtime "$RUNTIME/pom.xml"
    compile runtime $RUNTIME javac -d "$TO/runtime/classes" -cp "$TO/runtime/dependency/*" \
        "$RUNTIME"/src/main/java/statefun/*.java
    if [ "${1:-}" != bench ] || [ ! -e "$TO/runtime.stamp" ]; then return 0; fi
    make bench bench "$BENCH/pom.xml"
    compile bench $BENCH javac -d "$TO/bench/classes" \
        -cp "$TO/runtime/classes:$TO/runtime/dependency/*:$TO/bench/dependency/*" "$BENCH"/src/main/java/bench/*.java
}

main "$@"
