"""Completion scripts for bash, zsh and fish, with the live names of the daemon that runs."""

from __future__ import annotations

from supervisor_lite.ctl import render
from supervisor_lite.ctl.context import CommandContext, Commands
from supervisor_lite.ctl.options import UsageError
from supervisor_lite.protocol import codes
from supervisor_lite.protocol.commands import SLCTL
from supervisor_lite.text import sanitize

command = Commands()

_BASH = """\
# slctl completion bash >/etc/bash_completion.d/slctl
_slctl() {
    local word=${COMP_WORDS[COMP_CWORD]} i command= options=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
            -c|-s) options+=("${COMP_WORDS[i]}" "${COMP_WORDS[i+1]}"); ((i++)) ;;
            -*) ;;
            *) command=${COMP_WORDS[i]}; break ;;
        esac
    done
    case ${COMP_WORDS[COMP_CWORD-1]} in
        -c|-s|-o) mapfile -t COMPREPLY < <(compgen -f -- "$word"); return ;;
    esac
    COMP_WORDBREAKS=${COMP_WORDBREAKS//:/}
    mapfile -t COMPREPLY < <(compgen -W "$(slctl "${options[@]}" completion words $command)" \\
        -- "$word")
}
complete -F _slctl slctl
"""

_ZSH = """\
#compdef slctl
# slctl completion zsh >"${fpath[1]}/_slctl"
_slctl() {
    local -a options known
    local i command=
    for ((i = 2; i < CURRENT; i++)); do
        case $words[i] in
            -c|-s) options+=($words[i] $words[i+1]); ((i++)) ;;
            -*) ;;
            *) command=$words[i]; break ;;
        esac
    done
    case $words[CURRENT-1] in
        -c|-s|-o) _files; return ;;
    esac
    known=(${(f)"$(slctl $options completion words $command)"})
    compadd -a known
}
compdef _slctl slctl
"""

_FISH = """\
# slctl completion fish >~/.config/fish/completions/slctl.fish
function __slctl_words
    set -l words (commandline -opc)
    set -l options
    set -l command
    set -l i 2
    while test $i -le (count $words)
        switch $words[$i]
            case -c -s
                set -a options $words[$i] $words[(math $i + 1)]
                set i (math $i + 1)
            case '-*'
            case '*'
                set command $words[$i]
                break
        end
        set i (math $i + 1)
    end
    slctl $options completion words $command
end
complete -c slctl -f -a '(__slctl_words)'
complete -c slctl -s c -r -d 'configuration'
complete -c slctl -s s -r -d 'control socket'
"""

_SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


@command("completion")
def completion(ctl: CommandContext, arguments: list[str]) -> int:
    """Print the script for a shell; `words [COMMAND]` is what the scripts call for the words."""
    words = ctl.parse(arguments, {}).words
    if words and words[0] in _SCRIPTS and len(words) == 1:
        render.out(_SCRIPTS[words[0]].rstrip("\n"))
        return codes.DONE
    if words and words[0] == "words" and len(words) < 3:
        for word in _words(ctl, words[1] if len(words) == 2 else ""):
            render.out(sanitize(word))
        return codes.DONE
    raise UsageError("which shell? bash, zsh or fish")


def _words(ctl: CommandContext, name: str) -> list[str]:
    from supervisor_lite.ctl.shell import Completions

    return Completions(ctl).after(name) if name else [*SLCTL]
