#!/bin/sh
# fuzz.sh BUILD SECONDS - builds every fuzz target of tests/fuzz and runs each for SECONDS, starting
# from its committed corpus (tests/fuzz/corpus/NAME). Finds go to BUILD/finds; exit 1 if there are any.
set -eu

build=$1
seconds=$2
top=$(cd "$(dirname "$0")/.." && pwd)

targets=$(ninja -C "$build" -t targets all | sed -n 's|^\(tests/fuzz/fuzz_[a-z0-9_]*\): .*LINKER.*|\1|p')
[ -n "$targets" ] || { echo "fuzz: no targets in $build" >&2; exit 1; }
# shellcheck disable=SC2086
ninja -C "$build" $targets
mkdir -p "$build/finds" "$build/logs"

# One target: new inputs go to a scratch folder, so that the committed corpus stays as it is.
run_one() {
    name=${1##*/}
    seeds=$top/tests/fuzz/corpus/$name
    [ -d "$seeds" ] || seeds=$top/tests/fuzz/corpus/${name#fuzz_}
    [ -d "$seeds" ] || { echo "fuzz: $name has no committed corpus" >&2; return 1; }
    dictionary=$top/tests/fuzz/$name.dict
    mkdir -p "$build/corpus/$name"
    set -- "$build/$1" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
        -artifact_prefix="$build/finds/$name-"
    [ ! -f "$dictionary" ] || set -- "$@" -dict="$dictionary"
    if "$@" "$build/corpus/$name" "$seeds" >"$build/logs/$name.log" 2>&1; then
        echo "fuzz: $name clean, $(sed -n 's/^stat::number_of_executed_units: *//p' "$build/logs/$name.log") runs"
    else
        echo "fuzz: $name FAILED, see $build/logs/$name.log and $build/finds" >&2
        tail -n 40 "$build/logs/$name.log" >&2
        return 1
    fi
}

limit=$(nproc)
failed=0
running=
count=0
for target in $targets; do
    run_one "$target" &
    running="$running $!"
    count=$((count + 1))
    if [ "$count" -ge "$limit" ]; then
        for pid in $running; do wait "$pid" || failed=1; done
        running=
        count=0
    fi
done
for pid in $running; do wait "$pid" || failed=1; done
exit $failed
