# shellcheck shell=bash
# How the demo tells its story: chapters, commands as a user types them, and a stop where one ends otherwise than told.

if [[ -t 1 && -z ${NO_COLOR:-} ]]; then
  BOLD=$'\e[1m' DIM=$'\e[2m' RED=$'\e[31m' PLAIN=$'\e[0m'
else
  BOLD='' DIM='' RED='' PLAIN=''
fi
CHAPTER=0

chapter() {
  CHAPTER=$((CHAPTER + 1))
  printf '\n%s%d. %s%s\n' "$BOLD" "$CHAPTER" "$1" "$PLAIN"
}
note() { printf '%s  %s%s\n' "$DIM" "$*" "$PLAIN"; }
complain() {
  printf '\n%sdemo: %s%s\n' "$RED" "$1" "$PLAIN" >&2
  shift
  printf '  %s\n' "$@" >&2
}
fail() {
  complain "$1" "see ${2:-above}"
  exit 1
}

# The command as somebody would type it: what holds a blank is quoted.
typed() {
  local word line=''
  for word in "$@"; do
    [[ $word =~ ^[A-Za-z0-9_./:=@#%+,~-]+$ ]] || word="'$word'"
    line+=" $word"
  done
  printf '\n%s$%s%s\n' "$BOLD" "$line" "$PLAIN"
}

# shell EXIT_CODE COMMAND...: shows and runs it; another exit code ends the demo.
shell() {
  local want=$1 got=0
  shift
  typed "$@"
  "$@" || got=$?
  if [[ $got != "$want" ]]; then
    fail "'$*' ended with $got, not with $want" 'what it says above'
  fi
  [[ $want == 0 ]] || note "(it ended with exit code $got, as it should)"
}

# served VERSION: asks the service who answers.
served() {
  local answer
  typed curl "$URL/"
  answer=$(curl -fsS --max-time 10 "$URL/") || fail 'the service does not answer' "$DEMO"
  printf '%s\n' "$answer"
  [[ $answer == *"\"version\":\"$1\""* ]] || fail "it is not $1 that serves" "$DEMO"
}
