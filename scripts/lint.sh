#!/bin/sh
# lint.sh BUILD - layer check, clang-tidy (.clang-tidy) and cppcheck over the sources of BUILD.
set -eu

build=$1
top=$(cd "$(dirname "$0")/.." && pwd)
cd "$top"
failed=0

tests/check_layers.py || failed=1

sources=$(git ls-files 'src/*.c' 'src/**/*.c')
# gcc-only warning flags of the compile commands mean nothing to clang.
# shellcheck disable=SC2086
printf '%s\n' $sources | xargs -P "$(nproc)" -n 4 clang-tidy --quiet -p "$build" \
    --extra-arg=-Wno-unknown-warning-option --extra-arg=-Wno-ignored-optimization-argument || failed=1

cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr \
    --suppress=missingInclude --suppress=missingIncludeSystem --error-exitcode=1 \
    -j "$(nproc)" -I src -D_GNU_SOURCE src || failed=1

[ $failed -eq 0 ] && echo "lint: clean"
exit $failed
