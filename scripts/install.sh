#!/bin/sh
# install.sh install BINARY | uninstall - puts the program, its man pages and shell completion below
# $DESTDIR$PREFIX, or takes them away again.
set -eu

prefix=${DESTDIR:-}${PREFIX:-/usr/local}
top=$(cd "$(dirname "$0")/.." && pwd)

pages() {
    find "$top/docs/man" -name '*.[158]' 2>/dev/null | sort
}

case ${1:-} in
install)
    install -D -m 755 "$2" "$prefix/bin/candor"
    ln -sf candor "$prefix/bin/appcmd"
    for page in $(pages); do
        install -D -m 644 "$page" "$prefix/share/man/man${page##*.}/${page##*/}"
    done
    install -D -m 644 "$top/packaging/completion/candor.bash" \
        "$prefix/share/bash-completion/completions/candor"
    ln -sf candor "$prefix/share/bash-completion/completions/appcmd"
    echo "installed $prefix/bin/candor"
    ;;
uninstall)
    rm -f "$prefix/bin/candor" "$prefix/share/bash-completion/completions/candor"
    for link in "$prefix/bin/appcmd" "$prefix/share/bash-completion/completions/appcmd"; do
        if [ "$(readlink "$link")" = candor ]; then # somebody else's stays
            rm -f "$link"
        fi
    done
    for page in $(pages); do
        rm -f "$prefix/share/man/man${page##*.}/${page##*/}"
    done
    ;;
*)
    echo "usage: install.sh install BINARY | uninstall" >&2
    exit 2
    ;;
esac
