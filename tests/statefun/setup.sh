#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# setup.sh: StateFun's runtime and our programs on it, under build/statefun.
#
# Does nothing where nothing has changed. What cannot be installed leaves the reason in build/statefun/<name>.missing,
# and its tests are skipped with it; every other failure ends this script.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."

readonly TO=build/statefun RUNTIME=tests/statefun/java

# shellcheck source=tests/packages.sh
. tests/packages.sh

runtime() { maven "$1" "$RUNTIME/pom.xml"; }

main() {
    mkdir -p "$TO"
    exec 9>"$TO/setup.lock"
    flock 9
    make runtime runtime "$RUNTIME/pom.xml"
    compile runtime $RUNTIME javac -d "$TO/runtime/classes" -cp "$TO/runtime/dependency/*" \
        "$RUNTIME"/src/main/java/statefun/*.java
}

main "$@"
