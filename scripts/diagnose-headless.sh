#!/usr/bin/env bash
# Can the agents' CLIs run here? Asks the broker to look now, with curl and jq alone; without a broker it tells what can
# be seen without one. Exit code 0: all that is needed is there. 1: something is not. 2: it could not be found out.
#
#   scripts/diagnose-headless.sh [--cli NAME] [--url URL]
#
# KOKINO_URL and KOKINO_TOKEN are used where they are set, and KOKINO_HOME where there is no broker to ask.
set -euo pipefail

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

bold= red= yellow= green= plain=
if [[ -t 1 && -z ${NO_COLOR:-} && ${TERM:-dumb} != dumb ]]; then
    bold=$'\e[1m' red=$'\e[1;31m' yellow=$'\e[33m' green=$'\e[32m' plain=$'\e[0m'
fi

say() { # STATE WHAT FINDING: one line, its state in its colour
    local colour=$green
    case $1 in failed) colour=$red ;; warning) colour=$yellow ;; esac
    printf '  %s%-7s%s  %-11s  %s\n' "$colour" "$1" "$plain" "$2" "$3"
}

title() { printf '\n%s%s%s\n\n' "$bold" "$1" "$plain"; }

# The token stays off the argument list, which every user of the machine can read.
ask() { # PATH [JSON]: the body of the answer; fails on an HTTP error too
    local more=()
    [[ $# -lt 2 ]] || more=(-H 'Content-Type: application/json' --data "$2")
    curl --silent --fail-with-body --max-time 180 --noproxy localhost,127.0.0.1,::1 "${more[@]}" \
        -H @<([[ -z ${KOKINO_TOKEN:-} ]] || printf 'Authorization: Bearer %s\n' "$KOKINO_TOKEN") "$url$1"
}

missing=()
for program in curl jq; do
    command -v "$program" >/dev/null || missing+=("$program")
done

without_a_broker() { # WHY
    printf 'No broker was asked: %s.\nThis is what can be seen without one.\n' "$1"
    title "This machine"
    local program home full log
    for program in curl jq bash tmux; do
        if command -v "$program" >/dev/null; then
            say ok "$program" "$(command -v "$program")"
        else
            say warning "$program" "is not on PATH: apt-get install $program"
        fi
    done
    for program in claude codex droid gemini opencode qwen; do
        if command -v "$program" >/dev/null; then
            say ok "$program" "$(command -v "$program")"
        else
            say warning "$program" "is not on PATH; needed only if agents use it"
        fi
    done
    home=${KOKINO_HOME:-$HOME/.kokino}
    if [[ ! -d $home ]]; then
        say warning home "$home does not exist; set KOKINO_HOME where the broker has another one"
    else
        full=$(df --output=pcent "$home" | tail -n 1 | tr -dc 0-9)
        if ((full >= 95)); then
            say failed disk "$home is $full% full: du -xh --max-depth=2 '$home' | sort -h | tail"
        elif ((full >= 85)); then
            say warning disk "$home is $full% full"
        else
            say ok disk "$home is $full% full"
        fi
        log=$home/broker/logs/broker.log
        if [[ -r $log ]]; then
            title "The last errors in $log"
            { tail -n 2000 "$log" | grep -E 'ERROR|CRITICAL' | tail -n 5 | cut -c -300 |
                tr -d '\000-\010\013-\037\177' | sed 's/^/  /'; } ||
                echo "  none"
        fi
    fi
    printf '\nStart the broker with: kokino serve\n'
}

if ((${#missing[@]})); then
    without_a_broker "${missing[*]} is missing to ask it: apt-get install ${missing[*]}"
    exit 2
fi
if ! health=$(ask /health 2>/dev/null); then
    without_a_broker "none answers at $url"
    exit 2
fi

# What the broker tells may hold anything that a program has said: nothing that the terminal would obey is shown.
clean='def clean: gsub("[\u0000-\u001f\u007f-\u009f]"; " ");'
wanted=$(jq -n --arg cli "$cli" 'if $cli == "" then {} else {cliType: $cli} end')
if ! found=$(ask /api/health/environment "$wanted"); then
    jq -r "$clean"'"diagnose-headless: " + (.detail // "the broker cannot tell" | clean)' <<<"$found" >&2 ||
        echo "diagnose-headless: the broker did not answer" >&2
    exit 2
fi
supervision=$(ask /api/health/supervision) || supervision='{"passed": false, "checks": [], "tier": "unknown"}'

printf 'The broker at %s was asked: Kokino %s.\n' "$url" "$(jq -r "$clean .version | clean" <<<"$health")"
# One line for each check, with fields that no message can hold a separator of.
lines="$clean"'def state: if .passed then "ok" elif .isRequired then "failed" else "warning" end;
       def told: [state, (.name | clean), (.message | clean)] | join("\u001f");'
show() { # JQ-FILTER JSON
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

mends=$(jq -r "$clean"'[(.results // [.])[] | .cliType as $cli | .checks[] |
    select((.passed | not) and .mend != null) | "  \($cli | clean) \(.name | clean):\n    \(.mend | clean)"] | join("\n")' <<<"$found")
[[ -z $mends ]] || printf '\n%sTo mend it%s\n\n%s\n' "$bold" "$plain" "$mends"

failed=$(jq '[(.results // [.])[] | .checks[] | select((.passed | not) and .isRequired)] | length' <<<"$found")
[[ $supervised == true ]] || failed=$((failed + 1))
case $failed in
0) printf '\nAll that is needed is there.\n' ;;
1) printf '\n1 check failed.\n' ;;
*) printf '\n%s checks failed.\n' "$failed" ;;
esac
((failed == 0)) || exit 1
