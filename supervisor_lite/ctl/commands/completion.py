"""Completion scripts for bash, zsh and fish, with the live names of the daemon that runs."""

from __future__ import annotations

import shlex

from supervisor_lite.ctl import render
from supervisor_lite.ctl.context import CommandContext, Commands
from supervisor_lite.ctl.options import UsageError
from supervisor_lite.protocol import codes

command = Commands()

_FILES = ":files"
"""The line that stands for the names of files; no word can be so, since names of groups are not
empty."""

_BASH = """\
# slctl completion bash >/etc/bash_completion.d/slctl
_slctl() {
    local line=${COMP_LINE:0:COMP_POINT} tab=$'\\t' word reply found=() i
    word=${line##*[[:space:]]}
    mapfile -t found < <(slctl completion words --line "$line" 2>/dev/null)
    COMPREPLY=()
    for reply in "${found[@]}"; do
        if [[ $reply == :files ]]; then
            compopt -o filenames 2>/dev/null
            mapfile -t COMPREPLY < <(compgen -f -- "$word")
        elif [[ ${reply%%"$tab"*} == "$word"* ]]; then
            COMPREPLY+=("$reply")
        fi
    done
    # Two Tabs list the words: with what they mean. What is put into the line is the word alone.
    if ((${#COMPREPLY[@]} == 1 || COMP_TYPE != 63)); then
        COMPREPLY=("${COMPREPLY[@]%%"$tab"*}")
    else
        for i in "${!COMPREPLY[@]}"; do
            reply=${COMPREPLY[i]}
            [[ $reply == *"$tab"* ]] &&
                printf -v "COMPREPLY[i]" '%-16s (%s)' "${reply%%"$tab"*}" "${reply#*"$tab"}"
        done
    fi
    # bash takes a colon for the end of a word: what is before it is in the line already.
    if [[ $word == *:* && $COMP_WORDBREAKS == *:* ]]; then
        COMPREPLY=("${COMPREPLY[@]#"${word%"${word##*:}"}"}")
    fi
}
complete -F _slctl slctl
"""

_ZSH = """\
#compdef slctl
# slctl completion zsh >"${fpath[1]}/_slctl"
_slctl() {
    local -a found described
    local reply word tab=$'\\t'
    found=(${(f)"$(slctl completion words -- "${(@Q)words[2,CURRENT]}" 2>/dev/null)"})
    for reply in $found; do
        word=${reply%%$tab*}
        if [[ $reply == :files ]]; then
            _files
        elif [[ $word == $reply ]]; then
            described+=("${word//:/\\:}")
        else
            described+=("${word//:/\\:}:${reply#*$tab}")
        fi
    done
    (($#described)) && _describe slctl described
}
# The first Tab loads this file as the function itself; sourced, it has to be made known.
if [[ ${funcstack[1]} == _slctl ]]; then
    _slctl "$@"
else
    compdef _slctl slctl
fi
"""

_FISH = """\
# slctl completion fish >~/.config/fish/completions/slctl.fish
function __slctl_words
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    for reply in (slctl completion words -- $words[2..-1] "$current" 2>/dev/null)
        if test "$reply" = :files
            __fish_complete_path "$current"
        else
            echo $reply
        end
    end
end
complete -c slctl -f -a '(__slctl_words)'
"""

_SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


@command("completion")
def completion(ctl: CommandContext, arguments: list[str]) -> int:
    """Print the script for a shell.

    The scripts call `words -- WORD…` (what follows "slctl", the last one unfinished) or `words
    --line TEXT` (the whole line as it was typed); a line of the answer is a word, and after a tab
    what it means.
    """
    given = ctl.parse(arguments, {"--line": "line="})
    name, *words = given.words or [""]
    if name in _SCRIPTS and not words:
        render.out(_SCRIPTS[name].rstrip("\n"))
        return codes.DONE
    if name != "words":
        raise UsageError("which shell? bash, zsh or fish")
    if given.has("line"):
        words = _split(given.text("line"))[1:]
    from supervisor_lite.ctl.completions import Completions

    found = Completions(ctl).after(words or [""])
    for word, meaning in found.words.items():
        render.out(f"{word}\t{meaning}" if meaning else word)
    if found.files:
        render.out(_FILES)
    return codes.DONE


def _split(line: str) -> list[str]:
    """Return the words of a line, the last one as it is being typed ("" after a blank)."""
    try:
        words = shlex.split(line)
    except ValueError:  # a quotation has not ended yet
        words = line.split()
    return [*words, ""] if line[-1:].isspace() else words
