
_clap_complete_assets() {
    local IFS=$'\013'
    local _CLAP_COMPLETE_INDEX=${COMP_CWORD}
    local _CLAP_COMPLETE_COMP_TYPE=${COMP_TYPE}
    if compopt +o nospace 2> /dev/null; then
        local _CLAP_COMPLETE_SPACE=false
    else
        local _CLAP_COMPLETE_SPACE=true
    fi
    local words=() index
    for ((index = 0; index <= COMP_CWORD; index++)); do
        local word="${COMP_WORDS[index]}" last=$((${#words[@]} - 1))
        if ((last > 0)) && [[ "$word" == [:=@]* || "${words[last]}" == *[:=@] ]]; then
            words[last]+="$word"
        else
            words+=("$word")
        fi
    done
    local _CLAP_COMPLETE_INDEX=$((${#words[@]} - 1))
    local typed_before="${words[_CLAP_COMPLETE_INDEX]%"$2"}"
    COMPREPLY=( $( \
        _CLAP_IFS="$IFS" \
        _CLAP_COMPLETE_INDEX="$_CLAP_COMPLETE_INDEX" \
        _CLAP_COMPLETE_COMP_TYPE="$_CLAP_COMPLETE_COMP_TYPE" \
        _CLAP_COMPLETE_SPACE="$_CLAP_COMPLETE_SPACE" \
        COMPLETE="bash" \
        "assets" -- "${words[@]}" \
    ) )
    if [[ $? != 0 ]]; then
        unset COMPREPLY
    elif [[ -n "$typed_before" ]]; then
        COMPREPLY=("${COMPREPLY[@]#"$typed_before"}")
    fi
    if false; then :
    elif [[ $_CLAP_COMPLETE_SPACE == false ]] && [[ "${COMPREPLY-}" =~ [=/:]$ ]]; then
        compopt -o nospace
    fi
}
if [[ "${BASH_VERSINFO[0]}" -eq 4 && "${BASH_VERSINFO[1]}" -ge 4 || "${BASH_VERSINFO[0]}" -gt 4 ]]; then
    complete -o nospace -o bashdefault -o nosort -F _clap_complete_assets assets
else
    complete -o nospace -o bashdefault -F _clap_complete_assets assets
fi

