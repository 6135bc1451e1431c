# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Steps: what tools/run, tools/test and .ci/run share. To be sourced.

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.." && pwd)

say() {
    printf '%s\n' "$*"
}

fail() {
    printf '%s: %s\n' "$(basename -- "$0")" "$*" >&2
    exit 1
}

# quietly LOG COMMAND...: runs the command with its output in LOG; upon failure shows the end of it.
quietly() {
    local log=$1 status=0
    shift
    mkdir -p -- "$(dirname -- "$log")"
    "$@" >"$log" 2>&1 || status=$?
    if ((status != 0)); then
        tail -n 40 -- "$log" >&2
        printf '\nfailed with exit status %d: %s\nall of its output: %s\n' \
            "$status" "$*" "${log#"$root"/}" >&2
    fi
    return "$status"
}

# build PRESET [TARGET...]: configures and builds, warnings as errors in CI.
build() {
    local preset=$1
    local log=$root/build/$preset.log
    local -a targets=()
    shift
    if (($# > 0)); then
        targets=(--target "$@")
    fi
    quietly "$log" cmake -S "$root" --preset "$preset" \
        -D SHARDRT_WERROR="$([[ ${CI:-} == true ]] && echo ON || echo OFF)" || return
    quietly "$log" cmake --build "$root/build/$preset" "${targets[@]}" || return
    # Outside of CI a warning is no error, but nobody would see it in the log.
    grep -E ': warning: ' -- "$log" | sort -u || true
}
