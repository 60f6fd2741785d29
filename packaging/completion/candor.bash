# Bash completion for candor, and for appcmd, which is one of its commands.
_candor() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} command=${COMP_WORDS[1]}
    local first=2                          # where the arguments of the command begin
    if [ "${COMP_WORDS[0]##*/}" = appcmd ]; then
        command=appcmd first=1
    elif [ "$COMP_CWORD" -eq 1 ]; then
        COMPREPLY=($(compgen -W "serve check explain diagnose trace appcmd version --help" -- "$word"))
        return
    fi
    case $before in
    --config | --http-parameters | --control) COMPREPLY=($(compgen -f -- "$word")); return ;;
    --system-drive) COMPREPLY=($(compgen -d -- "$word")); return ;;
    --format) COMPREPLY=($(compgen -W "text json html" -- "$word")); return ;;
    --bind) COMPREPLY=($(compgen -W "127.0.0.1 ::1 0.0.0.0 ::" -- "$word")); return ;;
    --log) COMPREPLY=($(compgen -W "stdout" -- "$word")); return ;;
    --port | --threads | --workers) return ;;
    esac
    case $command in
    serve)
        COMPREPLY=($(compgen -W "--config --print-config --http-parameters --system-drive --port --bind --log --threads --workers
            --control --metrics --help" -- "$word") $(compgen -d -- "$word")) ;;
    explain)
        COMPREPLY=($(compgen -W "--format --help" -- "$word")) ;;
    diagnose)
        COMPREPLY=($(compgen -W "--format --output --since --until --site --status --url --client --top --help" \
            -- "$word") $(compgen -f -- "$word")) ;;
    trace)
        COMPREPLY=($(compgen -W "--format --output --sort --top --help" -- "$word") $(compgen -f -- "$word")) ;;
    appcmd)
        case $((COMP_CWORD - first)),$before in
        0,*) COMPREPLY=($(compgen -W "list start stop recycle clear --help" -- "$word")) ;;
        1,list) COMPREPLY=($(compgen -W "site apppool wp cache" -- "$word")) ;;
        1,start | 1,stop) COMPREPLY=($(compgen -W "site apppool" -- "$word")) ;;
        1,recycle) COMPREPLY=($(compgen -W "apppool" -- "$word")) ;;
        1,clear) COMPREPLY=($(compgen -W "cache" -- "$word")) ;;
        *) COMPREPLY=($(compgen -W "/text: /xml /in --control" -- "$word")) ;;
        esac ;;
    check)
        COMPREPLY=($(compgen -W "--config --format --help" -- "$word") $(compgen -f -- "$word")) ;;
    esac
}
complete -o filenames -F _candor candor appcmd
