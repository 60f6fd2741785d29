#!/bin/sh
# install-deps.sh GROUP... - installs what is missing of those groups of packages.txt.
# Does nothing (and needs no privileges) when everything is there.
set -eu

list=$(dirname "$0")/packages.txt

if ! command -v dpkg-query >/dev/null 2>&1; then
    echo "install-deps: not a Debian system; install by hand what $list names" >&2
    exit 0
fi

missing=
for group in "$@"; do
    for package in $(awk -v g="$group" '$1 == g { print $2 }' "$list"); do
        state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
        # A package of the same purpose may stand in for the small one (nginx-full for nginx-light).
        if [ "$state" != installed ] && [ "$package" = nginx-light ] && [ -x /usr/sbin/nginx ]; then
            state=installed
        fi
        [ "$state" = installed ] || missing="$missing $package"
    done
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -eq 0 ]; then
    as_root=
elif command -v sudo >/dev/null 2>&1; then
    as_root=sudo
else
    echo "install-deps: missing:$missing" >&2
    echo "install-deps: run as root: apt-get install$missing" >&2
    exit 1
fi

# Servers that are installed to be measured must not start by themselves.
policy=/usr/sbin/policy-rc.d
made_policy=
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
    $as_root chmod 755 "$policy"
    made_policy=yes
fi
cleanup() {
    [ -z "$made_policy" ] || $as_root rm -f "$policy"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

echo "install-deps: installing$missing" >&2
DEBIAN_FRONTEND=noninteractive
export DEBIAN_FRONTEND
# shellcheck disable=SC2086
$as_root apt-get -qq -y --no-install-recommends install $missing >/dev/null 2>&1 || {
    # The package lists may be absent (a fresh container) or old.
    $as_root apt-get -qq update
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install $missing
}
