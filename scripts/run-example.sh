#!/bin/sh
# Serves examples/ on port $1. As root the workers run as a user of their own, who may not be able to
# enter a checkout below a private folder such as /root; then a copy is served from where everyone may.
set -eu
cd "$(dirname "$0")/.."
dir=$PWD/examples
if [ "$(id -u)" = 0 ] && ! setpriv --reuid=65534 --regid=65534 --clear-groups test -r "$dir/index.html"; then
    dir=/var/lib/candor/example
    mkdir -p "$dir"
    cp -r examples/. "$dir/"
    chmod -R u=rwX,go=rX "$dir"
    echo "The worker's user may not enter $PWD; serving the copy in $dir"
fi
echo "Serving $dir on http://localhost:$1/ - stop with Ctrl-C"
exec build/candor serve "$dir" --port "$1"
