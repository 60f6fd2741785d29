#!/bin/sh
# lint.sh BUILD - layer check, clang-tidy (.clang-tidy) and cppcheck over the sources of BUILD.
set -eu

build=$1
top=$(cd "$(dirname "$0")/.." && pwd)
cd "$top"
failed=0

tests/check_layers.py || failed=1

sources=$(git ls-files 'src/*.c' 'src/**/*.c')
# The compile commands are gcc's: clang does not know all its warnings, and wants to be talked into one
# of its code generation flags.
# shellcheck disable=SC2086
printf '%s\n' $sources | xargs -P "$(nproc)" -n 4 clang-tidy --quiet -p "$build" \
    --extra-arg=-Wno-unknown-warning-option --extra-arg=-Wno-ignored-optimization-argument \
    --extra-arg=-enable-trivial-auto-var-init-zero-knowing-it-will-be-removed-from-clang || failed=1

cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr \
    --suppress=missingInclude --suppress=missingIncludeSystem --suppress=nullPointerRedundantCheck \
    --suppress=uninitvar --error-exitcode=1 \
    -j "$(nproc)" -I src -D_GNU_SOURCE src || failed=1

[ $failed -eq 0 ] && echo "lint: clean"
exit $failed
