# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# stages: what `./run test` consists of. Sourced by ./run, whose helpers it uses.
#
# A stage is one command. Its output goes to the terminal and to build/test-logs/<stage>.log; a stage that fails
# does not keep the others from running. The counts at the end are those the runners themselves printed.

readonly LOGS=build/test-logs
readonly SANITIZE_OPTIONS="abort_on_error=1:halt_on_error=1:detect_leaks=1:print_stacktrace=1"
passed=0 failed=0 summaries=""

# count_runners LOG: adds the counts in meson's and pytest's summaries, and keeps the summaries.
count_runners() {
    local log=$1 line good bad
    good=$(sed -nE 's/^(Ok|Expected Fail): +([0-9]+).*/\2/p' "$log" | paste -sd+)
    bad=$(sed -nE 's/^(Fail|Timeout|Unexpected Pass): +([0-9]+).*/\2/p' "$log" | paste -sd+)
    line=$(grep -E '^(=+ )?[0-9]+ (passed|failed|skipped|error).* in [0-9.]+s' "$log" | tail -n 1) || true
    good="${good:-0}+$(count_word passed "$line")"
    bad="${bad:-0}+$(count_word failed "$line")+$(count_word 'errors?' "$line")"
    counted_good=$((good)) counted_bad=$((bad))
    summary=$(grep -E '^(Ok|Fail|Timeout|Skipped|Expected Fail|Unexpected Pass): +[0-9]' "$log" | tr -s ' ' |
        paste -sd' ' || true)
    [ -z "$line" ] || summary="$summary $line"
}

count_word() {
    local count
    count=$(grep -oE "[0-9]+ $1" <<<"$2" | grep -oE '^[0-9]+' || true)
    echo "${count:-0}"
}

# stage NAME COMMAND...: runs one stage and counts its tests, or itself if its runner counts none.
stage() {
    local name=$1 began=$SECONDS status=0 verdict=ok
    shift
    say "stage $name"
    set +e # and on again within, where an `if` or `||` around it would keep it off
    (
        set -e
        "$@"
    ) 2>&1 | tee "$LOGS/$name.log"
    status=${PIPESTATUS[0]}
    set -e
    count_runners "$LOGS/$name.log"
    if [ $((counted_good + counted_bad)) = 0 ]; then
        [ "$status" = 0 ] && counted_good=1 || counted_bad=1
    elif [ "$status" != 0 ] && [ "$counted_bad" = 0 ]; then
        counted_bad=1
    fi
    passed=$((passed + counted_good)) failed=$((failed + counted_bad))
    [ "$counted_bad" = 0 ] || verdict=FAILED
    summary=$(printf '%-12s %-6s %4d s  %s' "$name" "$verdict" $((SECONDS - began)) "$summary")
    summaries="$summaries$summary"$'\n'
}

# c_tests FOLDER "MESON OPTIONS" SUITE...: builds and runs the C tests of these suites.
c_tests() {
    local folder=build/$1 options=$2 suites=""
    shift 2
    # shellcheck disable=SC2086 # a list of options
    configure "$folder" $options
    ninja -C "$folder" --quiet
    suites=$(printf -- '--suite %s ' "$@")
    # shellcheck disable=SC2086 # a list of options
    ASAN_OPTIONS=$SANITIZE_OPTIONS UBSAN_OPTIONS=$SANITIZE_OPTIONS TSAN_OPTIONS="halt_on_error=1" \
        meson test -C "$folder" --no-rebuild --print-errorlogs $suites
}

clang_tests() {
    CC=clang c_tests test-clang "--buildtype=debugoptimized" unit
}

# with_host BINARY FOLDER PYTEST-ARGUMENT...: the tests of a folder with this host.
with_host() {
    local binary=$1 folder=$2
    shift 2
    PROA_BINARY=$PWD/$binary ASAN_OPTIONS=$SANITIZE_OPTIONS UBSAN_OPTIONS=$SANITIZE_OPTIONS \
        TSAN_OPTIONS="halt_on_error=1" \
        build/venv-test/bin/python -m pytest -c "$folder/pytest.ini" --rootdir "$folder" "$folder" "$@"
}

# StateFun's own SDKs, each language with its tools; one that cannot be installed is skipped, visibly.
interop() {
    tests/interop/setup.sh
    with_host build/proa tests/interop -n 3
}

# The way back: our SDK's functions on StateFun's own runtime; skipped, visibly, where it cannot be installed.
statefun() {
    tests/statefun/setup.sh bench
    with_host build/proa tests/statefun -n 2
}

sdk() {
    cd sdk-python
    local bin=$OLDPWD/build/venv-test/bin
    "$bin/python" -m pytest -q
    "$bin/python" tools/generate_wire.py --check
}

checkers() {
    local bin=$PWD/build/venv-test/bin
    cd sdk-python
    "$bin/mypy" --strict
    "$bin/pyright"
    "$bin/ruff" check .
    cd ..
    "$bin/ruff" check --config tests/ruff.toml tests
}

examples() {
    build/venv-test/bin/python -m pytest -q examples
}

# shellcheck disable=SC2046 # lists of paths without blanks
formatting() {
    clang-format --dry-run --Werror $(git ls-files '*.c' '*.h')
    echo "clang-format: $(git ls-files '*.c' '*.h' | wc -l) files as they should be"
    build/venv-test/bin/ruff format --check --config tests/ruff.toml $(git ls-files '*.py' | grep -v _pb2)
}

newcomer() {
    as_root tests/e2e/newcomer.sh
}

run_tests() {
    local all=${1:-}
    mkdir -p build
    install_for_tests
    build_host
    rm -rf "$LOGS" && mkdir -p "$LOGS"
    stage gcc c_tests test-gcc "--buildtype=debugoptimized" unit contract fuzz sim tidy
    stage format formatting
    stage checkers checkers
    stage sdk sdk
    stage examples examples
    stage e2e with_host build/proa tests/e2e -n 3 --dist loadfile
    stage interop interop
    stage clang clang_tests
    stage asan c_tests test-asan "--buildtype=debugoptimized -Db_sanitize=address,undefined -Db_lundef=false \
        -Dcheck_slow=true" unit contract fuzz sim
    stage e2e-asan with_host build/test-asan/host/proa tests/e2e -n 3 -m "not heavy"
    stage tsan c_tests test-tsan "--buildtype=debugoptimized -Db_sanitize=thread -Db_lundef=false" unit threads
    stage e2e-tsan with_host build/test-tsan/host/proa tests/e2e -n 2 -m threads
    if [ "$all" = --all ]; then
        stage statefun statefun
        stage newcomer newcomer
    fi
    printf '\n%s\n%d passed, %d failed\n' "$summaries" "$passed" "$failed"
    [ "$failed" = 0 ]
}
