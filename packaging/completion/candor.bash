# Bash completion for candor.
_candor() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} command=${COMP_WORDS[1]}
    if [ "$COMP_CWORD" -eq 1 ]; then
        COMPREPLY=($(compgen -W "serve check explain diagnose trace version --help" -- "$word"))
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
            --control --help" -- "$word") $(compgen -d -- "$word")) ;;
    explain)
        COMPREPLY=($(compgen -W "--format --help" -- "$word")) ;;
    diagnose)
        COMPREPLY=($(compgen -W "--format --output --since --until --site --status --url --client --top --help" \
            -- "$word") $(compgen -f -- "$word")) ;;
    trace)
        COMPREPLY=($(compgen -W "--format --output --sort --top --help" -- "$word") $(compgen -f -- "$word")) ;;
    check)
        COMPREPLY=($(compgen -W "--config --format --help" -- "$word") $(compgen -f -- "$word")) ;;
    esac
}
complete -o filenames -F _candor candor
