#!/usr/bin/env bash
# Can the agents' CLIs run here? Asks the broker to look now, with curl and jq alone; without a broker it tells what can
# be seen without one. Exit code 0: all that is needed is there. 1: something is not. 2: it could not be found out.
#
#   scripts/diagnose-headless.sh [--cli NAME] [--url URL]
#
# KOKINO_URL and KOKINO_TOKEN are used where they are set, and KOKINO_HOME where there is no broker to ask.
set -euo pipefail
set -f # what programs say is split into words: no pattern of files in it means any

url=${KOKINO_URL:-http://127.0.0.1:5050}
cli=
while (($#)); do
    case $1 in
    --cli | --url)
        [[ $# -ge 2 ]] || { echo "diagnose-headless: $1 needs a value" >&2; exit 2; }
        declare "${1#--}=$2"
        shift 2
        ;;
    --cli=* | --url=*)
        option=${1%%=*}
        declare "${option#--}=${1#*=}"
        shift
        ;;
    -h | --help)
        sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"
        exit 0
        ;;
    *)
        echo "diagnose-headless: there is no option $1; see --help" >&2
        exit 2
        ;;
    esac
done
url=${url%/}

bold='' red='' yellow='' green='' plain=''
if [[ -t 1 && -z ${NO_COLOR:-} && ${TERM:-dumb} != dumb ]]; then
    bold=$'\e[1m' red=$'\e[1;31m' yellow=$'\e[33m' green=$'\e[32m' plain=$'\e[0m'
fi

# -- how it is written

width=${COLUMNS:-}
if [[ -z $width && -t 1 ]]; then
    { width=$(stty size <&3 2>/dev/null) || width=; } 3<&1
    width=${width#* }
fi
if [[ ! $width =~ ^[1-9][0-9]{1,3}$ ]] || ((width < 40)); then
    width=80 # nobody has told
fi

wrapped() { # TEXT [INDENT [AT]]: in lines that fit, from column AT on, the next ones indented; no word is cut
    local word line='' indent=${2:-0} room=$((width - ${3:-${2:-0}}))
    for word in $1; do
        if [[ -n $line ]] && ((${#line} + 1 + ${#word} > room)); then
            printf '%s\n%*s' "$line" "$indent" ''
            line=$word room=$((width - indent))
        else
            line=${line:+$line }$word
        fi
    done
    printf '%s\n' "$line"
}

say() { # STATE WHAT FINDING: its state in its colour
    local colour=$green name
    case $1 in failed) colour=$red ;; warning) colour=$yellow ;; esac
    printf -v name '%-11s' "$2"
    printf '  %s%-7s%s  %s  ' "$colour" "$1" "$plain" "$name"
    wrapped "$3" 24 $((13 + ${#name}))
}

title() { printf '\n%s%s%s\n\n' "$bold" "$1" "$plain"; }

next() { # FOR COMMAND: whole, however long it is: it is there to be copied
    printf '  %s:\n    %s\n' "$1" "$2"
}

# -- without a broker that can be asked

# The token stays off the argument list, which every user of the machine can read.
ask() { # PATH [JSON]: the body of the answer; fails on an HTTP error too
    local more=()
    [[ $# -lt 2 ]] || more=(-H 'Content-Type: application/json' --data "$2")
    curl --silent --fail-with-body --max-time 180 --noproxy localhost,127.0.0.1,::1 "${more[@]}" \
        -H @<([[ -z ${KOKINO_TOKEN:-} ]] || printf 'Authorization: Bearer %s\n' "$KOKINO_TOKEN") "$url$1"
}

has() { command -v "$1" >/dev/null; }

programs() {
    local program
    for program in curl jq bash tmux; do
        if has "$program"; then
            say ok "$program" "$(command -v "$program")"
        else
            say warning "$program" "is not on PATH; install it, as with: apt-get install $program"
        fi
    done
    for program in claude codex droid gemini opencode qwen; do
        if has "$program"; then
            say ok "$program" "$(command -v "$program")"
        else
            say warning "$program" "is not on PATH; needed only if agents use it"
        fi
    done
}

disk() { # HOME
    local full
    full=$(df --output=pcent "$1" 2>/dev/null | tail -n 1 | tr -dc 0-9) || full=
    if [[ -z $full ]]; then
        say warning disk "how full the disk of $1 is cannot be told"
    elif ((full >= 95)); then
        say failed disk "$1 is $full% full; free some space: du -xh --max-depth=2 '$1' | sort -h | tail shows what takes it"
    elif ((full >= 85)); then
        say warning disk "$1 is $full% full; it fails at 95%"
    else
        say ok disk "$1 is $full% full"
    fi
}

last_errors() { # LOG
    local line found=
    title "The last errors in $1"
    while IFS= read -r line; do
        found=1
        printf '  '
        wrapped "$line" 4 2
    done < <(tail -n 2000 "$1" | grep -E 'ERROR|CRITICAL' | tail -n 5 | cut -c -300 | tr -d '\000-\010\013-\037\177')
    [[ -n $found ]] || echo "  none"
}

without_a_broker() { # WHY COMMAND: what can be seen all the same, and the command that comes next
    wrapped "$1. This is what can be seen all the same."
    title "This machine"
    programs
    local home=${KOKINO_HOME:-${HOME:-}/.kokino}
    if [[ ! -d $home ]]; then
        say warning home "$home does not exist; set KOKINO_HOME where the broker has another one"
    else
        disk "$home"
        [[ ! -r $home/broker/logs/broker.log ]] || last_errors "$home/broker/logs/broker.log"
    fi
    title "What to do next"
    next "${2%%: *}" "${2#*: }"
    exit 2
}

if ! has curl; then
    without_a_broker "No broker was asked: curl is missing for that" "install it, as with: apt-get install curl jq"
elif ! health=$(ask /health 2>/dev/null); then
    without_a_broker "No broker was asked: none answers at $url" "start one: kokino serve"
elif ! has jq; then
    without_a_broker "The broker at $url answers, but jq is missing to read what it says" \
        "install it, as with: apt-get install jq"
fi

# -- what the broker says

# It may hold anything that a program has said: nothing that the terminal would obey is shown.
clean='def clean: gsub("[\u0000-\u001f\u007f-\u009f]"; " ");'
wanted=$(jq -n --arg cli "$cli" 'if $cli == "" then {} else {cliType: $cli} end')
if ! found=$(ask /api/health/environment "$wanted"); then
    jq -r "$clean"'"diagnose-headless: " + (.detail // "the broker cannot tell" | clean)' <<<"$found" >&2 ||
        echo "diagnose-headless: the broker did not answer" >&2
    exit 2
fi
supervision=$(ask /api/health/supervision) || supervision='{"passed": false, "checks": [], "tier": "unknown"}'

wrapped "The broker at $url was asked: Kokino $(jq -r "$clean .version | clean" <<<"$health")."
# One line for each check, with fields that no message can hold a separator of.
lines="$clean"'def state: if .passed then "ok" elif .isRequired then "failed" else "warning" end;
       def told: [state, (.name | clean), (.message | clean)] | join("\u001f");'
show() { # JQ-FILTER JSON
    local state name message
    while IFS=$'\x1f' read -r state name message; do
        say "$state" "$name" "$message"
    done < <(jq -r "$lines $1" <<<"$2")
}

title "Supervision, tier: $(jq -r "$clean .tier | clean" <<<"$supervision")"
show '.checks[] | select(.passed | not) | told' "$supervision"
supervised=$(jq -r .passed <<<"$supervision")
if [[ $supervised == true ]]; then
    say ok supervision "all that executions need is there"
else
    say failed supervision "$(jq -r "$clean"'.warnings[0]? // "not all that executions need is there" | clean' <<<"$supervision")"
fi
show '(.machine // [])[] | told' "$found"

each=$(jq -c '(.results // [.])[]' <<<"$found")
while IFS= read -r one; do
    [[ -n $one ]] || continue
    title "$(jq -r "$clean .cliType | clean" <<<"$one")"
    show '.checks[] | told' "$one"
    show '.warnings[] | {passed: false, isRequired: false, name: "", message: .} | told' "$one"
done <<<"$each"
[[ -n $each ]] || printf '\nNo agent uses any CLI type, so none was looked at.\n'

# What each command mends; of what failed and has none it is said where to read on.
mends=$(jq -r --argjson supervision "$supervision" "$clean"'
    [(.results // [.])[] | .cliType as $cli | .checks[] | . + {cli: "\($cli) "}] +
    [(.machine // [], $supervision.checks)[] | . + {cli: ""}] |
    [.[] | select(.passed | not) | {name: (.cli + .name | clean), mend: (.mend // "" | clean), isRequired}] |
    ([.[] | select(.mend != "") | [.name, .mend]],
     [[.[] | select(.mend == "" and .isRequired) | .name] | select(. != []) | [join(", "),
        "(no command is known: the findings above tell what there is to do)"]])[] |
    join("\u001f")' <<<"$found")
if [[ -n $mends ]]; then
    title "To mend it"
    while IFS=$'\x1f' read -r name mend; do
        next "$name" "$mend"
    done <<<"$mends"
fi

failed=$(jq '[(.results // [.])[] | .checks[] | select((.passed | not) and .isRequired)] | length' <<<"$found")
[[ $supervised == true ]] || failed=$((failed + 1))
case $failed in
0) printf '\nAll that is needed is there.\n' ;;
1) printf '\n1 check failed.\n' ;;
*) printf '\n%s checks failed.\n' "$failed" ;;
esac
((failed == 0)) || exit 1
