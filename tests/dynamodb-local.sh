#!/usr/bin/env bash
# Runs a command with DYNAMODB_ENDPOINT set to a DynamoDB Local of its own, in
# memory; without arguments, the whole integration suite. Fetched into target/
# once, by Maven; needs a Java 17 runtime.
set -euo pipefail
cd "$(dirname "$0")/.."
. tests/tools.sh
version=3.3.1
home=$PWD/target/dynamodb-local-$version
if ! [ -f "$home/complete" ]; then
  rm -rf "$home"
  mkdir -p "$home"
  cat >"$home/pom.xml" <<POM
<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>local</groupId>
  <artifactId>dynamodb-local</artifactId>
  <version>1</version>
  <dependencies>
    <dependency>
      <groupId>software.amazon.dynamodb</groupId>
      <artifactId>DynamoDBLocal</artifactId>
      <version>$version</version>
    </dependency>
  </dependencies>
</project>
POM
  timeout 600 mvn -q -B -f "$home/pom.xml" dependency:copy-dependencies -DoutputDirectory="$home/lib"
  touch "$home/complete"
fi

# What takes long does so before the engine runs. The whole workspace, so that
# features are those of the other builds and nothing is built twice.
if [ $# -eq 0 ]; then
  cargo test --workspace --test it --locked --no-run
  set -- cargo test --workspace --test it --locked
fi

port=$(free_port)
# Without -sharedDb, so that every test has a database of its own by its access key.
java -Xmx2g -Djava.library.path="$home/lib" -cp "$home/lib/*" \
  software.amazon.dynamodb.services.local.main.ServerRunner \
  -inMemory -disableTelemetry -port "$port" >"$home/log" 2>&1 &
engine=$!
stop() {
  kill "$engine" 2>/dev/null || true
  wait "$engine" 2>/dev/null || true
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

for ((tries = 0; ; tries++)); do
  if ! kill -0 "$engine" 2>/dev/null || [ "$tries" -ge 150 ]; then
    tail -20 "$home/log" >&2
    echo "DynamoDB Local $version did not start" >&2
    exit 1
  fi
  # A connection is enough: it listens when it can answer.
  if (: >"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then break; fi
  sleep 0.2
done
echo "DynamoDB Local $version"
DYNAMODB_ENDPOINT=http://127.0.0.1:$port timeout "${DYNAMODB_LOCAL_TIMEOUT:-900}" "$@"
