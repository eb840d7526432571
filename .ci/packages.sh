# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034,SC2154
# Sourced by run-tests and run-demo: what both do before they build. The caller has set -euo pipefail, `me` (its name
# for messages) and `root` (the checkout).

catena_packages=(cmake ninja-build g++ libboost-dev libxxhash-dev catch2 libbenchmark-dev nlohmann-json3-dev
    libcli11-dev libfmt-dev)
catena_verbs_packages=(libibverbs-dev librdmacm-dev ibverbs-providers libsodium-dev libcpp-httplib-dev libnuma-dev)
catena_chart_packages=(libjs-chart.js)
catena_browser_packages=(chromium) # for the tests of pages alone, and large
catena_bench_packages=(libhiredis-dev)
catena_study_packages=(python3-jinja2) # the test that docs/study.md says what its data say; skipped without
catena_redis_packages=(redis-server) # catena-bench runs it; nothing is built with it

# install_packages PACKAGE...: only those that are missing; quiet if there is nothing to do.
install_packages() {
    local missing=() package
    if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
        echo "$me: no apt here, so nothing is installed; needed (Debian's names): $*" >&2
        return 0
    fi
    for package in "$@"; do
        dpkg-query -W -f='${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
    done
    ((${#missing[@]})) || return 0

    local sudo=()
    if ((EUID != 0)); then
        if ! command -v sudo >/dev/null; then
            echo "$me: these packages are missing, and there is no sudo to install them: ${missing[*]}" >&2
            return 1
        fi
        sudo=(sudo)
    fi
    echo "$me: installing ${missing[*]}"
    local log
    log=$(mktemp)
    local apt=("${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Acquire::Retries=3)
    if ! { "${apt[@]}" update && "${apt[@]}" install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        rm -f "$log"
        echo "$me: could not install ${missing[*]}" >&2
        return 1
    fi
    rm -f "$log"
}

# configure PRESET [CMAKE ARGUMENT...]: skipped when the build directory is set up already (ninja runs cmake again
# itself when a CMake file changed); says something only if it fails.
configure() {
    local preset=$1 log
    shift
    local ninja=$root/build/$preset/build.ninja
    if (($# == 0)) && [[ -f $ninja && ! $root/CMakePresets.json -nt $ninja ]]; then
        return 0
    fi
    log=$(mktemp)
    echo "$me: configuring preset $preset"
    if ! (cd "$root" && cmake --preset "$preset" "$@") >"$log" 2>&1; then
        cat "$log" >&2
        rm -f "$log"
        echo "$me: configuring preset $preset failed" >&2
        return 1
    fi
    rm -f "$log"
}
