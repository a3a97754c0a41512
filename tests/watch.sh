#!/usr/bin/env bash
# Everything on this machine with the functions as Lambda runs them: DynamoDB
# Local, `cargo lambda watch`, and `warden local` for the rest, which makes the
# tables from the template. Save a file, and the next call runs what it says.
#
#   tests/watch.sh          serves until Ctrl-C (where DynamoDB Local is: --dynamodb URL)
#   tests/watch.sh --test   invokes every function with its payload of events/,
#                           fetches expiring-tokens through them, and stops
#
# Java 17 and Maven for DynamoDB Local; or, with Docker,
#   docker run -d -p 127.0.0.1:8000:8000 amazon/dynamodb-local
#   tests/watch.sh --dynamodb http://127.0.0.1:8000
set -euo pipefail
cd "$(dirname "$0")/.."
. tests/tools.sh
mode=serve
dynamodb=${DYNAMODB_ENDPOINT:-}
while [ $# -gt 0 ]; do
  case $1 in
    --test) mode=test ;;
    --serve) mode=serve ;;
    --dynamodb) dynamodb=$2 && shift ;;
    *) sed -n '2,14s/^# \{0,1\}//p' "$0" >&2 && exit 2 ;;
  esac
  shift
done
# With an engine of its own around it.
if [ -z "$dynamodb" ]; then
  export DYNAMODB_LOCAL_TIMEOUT=${WATCH_TIMEOUT:-86400}
  exec tests/dynamodb-local.sh "tests/${0##*/}" "--$mode"
fi

PATH=$(cargo_lambda)/bin:$PATH
export CARGO_LAMBDA_COMPILER=cargo
home=$(mktemp -d)
port=$(free_port)
gateway=0
[ "$mode" = test ] || gateway=3000
# What takes long does so before anything waits for it: the features of all
# other builds, so that nothing is built twice.
cargo build --workspace --locked
warden=${CARGO_TARGET_DIR:-target}/debug/warden

processes=()
stop() {
  kill "${processes[@]}" 2>/dev/null || true
  wait "${processes[@]}" 2>/dev/null || true
  rm -rf "$home"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

options=(--data-dir "$home/warden" --port "$gateway" --dynamodb "$dynamodb" --no-demo)
"$warden" local "${options[@]}" --functions "http://127.0.0.1:$port" >"$home/warden.log" 2>&1 &
processes+=($!)
for ((tries = 0; ; tries++)); do
  [ ! -f "$home/warden/local.json" ] || break
  if ! kill -0 "${processes[0]}" 2>/dev/null || [ "$tries" -ge 150 ]; then
    cat "$home/warden.log" >&2
    exit 1
  fi
  sleep 0.2
done

# The functions, each built when it is first called.
cargo lambda watch --invoke-address 127.0.0.1 --invoke-port "$port" \
  --env-file "$home/warden/functions.env" --timeout 600 >"$home/watch.log" 2>&1 &
processes+=($!)

local_stack=(--local --data-dir "$home/warden")
if [ "$mode" = serve ]; then
  cat "$home/warden.log"
  echo "functions at http://127.0.0.1:$port, for \`cargo lambda invoke -P $port NAME --data-file events/...\`"
  echo "warden ... --local --data-dir $home/warden"
  wait "${processes[@]}"
  exit
fi

fail() {
  echo "$1" >&2
  tail -40 "$home/watch.log" "$home/warden.log" >&2
  exit 1
}
for ((tries = 0; ; tries++)); do
  if (: >"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then break; fi
  [ "$tries" -lt 150 ] || fail "cargo lambda watch did not start"
  sleep 0.2
done
cat >"$home/records.jsonl" <<RECORDS
{"type":"organization","org_id":"acme","name":"Acme","owner_id":"olga"}
{"type":"integration","org_id":"acme","integration_id":"page","platform":"linkedin","username":"page","account_id":"1","created_by":"carl","access_token":"at-page","token_expires_at":"$(date -u -d '+2 days' +%FT%TZ)","is_active":true}
RECORDS
"$warden" import "$home/records.jsonl" "${local_stack[@]}" || fail "the import failed"

# Name and payload of every function, and what it answers; the authorizer's bears
# a token that nobody has signed.
passed=0
invoke() {
  local answer
  answer=$(timeout 600 cargo lambda invoke --invoke-address 127.0.0.1 --invoke-port "$port" "$1" \
    --data-file "events/$2" 2>&1) || true
  case $answer in
    *"$3"*) echo "$1 events/$2: ok" && passed=$((passed + 1)) ;;
    *) fail "$1 events/$2: $answer" ;;
  esac
}
invoke check-tokens check-tokens-due.json '"examined"'
invoke check-tokens check-tokens-daily.json '"examined"'
invoke notify notify-sns.json null
invoke rate-limit-authorizer authorizer-request.json Unauthorized
invoke api api-expiring-tokens.json '"statusCode":200'
invoke platform-calls platform-calls-access-token.json '"statusCode":200'

token=$("$warden" token --user olga "${local_stack[@]}" | tail -1)
url=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["gateway"])' "$home/warden/local.json")
fetch() {
  local answer
  answer=$(curl -sS -m 300 -H "Authorization: Bearer $token" "$url/api/dashboard/acme/$1")
  case $answer in
    *"$2"*) echo "$1 through the watched functions: ok" && passed=$((passed + 1)) ;;
    *) fail "$1: $answer" ;;
  esac
}
fetch 'integrations/expiring-tokens?days=7' '"integration_id":"page"'
fetch notifications acme.page
echo "$passed passed, 0 failed"
