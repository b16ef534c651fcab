#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# What measures: unit tests of bench/run, and its tables with programs that
# only pretend; then the checkers of types and style. It measures nothing.

# shellcheck source=tests/interop/common.sh
. "${srcdir:-.}/tests/interop/common.sh"

bench=$(cd "$srcdir/bench" && pwd)
python=$(find_python) || unable "no python3"
export PYTHONDONTWRITEBYTECODE=1 MYPY_CACHE_DIR=$dir/mypy MYPYPATH=$bench
export DTLSL_BENCH=$bench

command -v openssl >/dev/null || unable "no openssl"

# checker NAME MODULE ARGUMENT...: one that need not be there, but content.
checker()
{
    local name=$1
    local module=$2

    shift 2
    if ! "$python" -c "import $module" 2>/dev/null; then
        echo "without $module"
    elif "$python" -m "$module" "$@" >"$dir/$name.log" 2>&1; then
        ok "$name"
    else
        not_ok "$name" "$(last_of "$dir/$name.log" 20)"
    fi
}

if TMPDIR=$dir "$python" -W error "$srcdir/tests/bench_units.py" \
    >"$dir/units.log" 2>&1; then
    ok units
else
    not_ok units "$(last_of "$dir/units.log" 60)"
fi
for script in run bindings; do
    checker "mypy-$script" mypy --strict "$bench/$script"
done
checker mypy-units mypy --strict "$srcdir/tests/bench_units.py"
checker black black -l 79 --check -q "$bench"/*.py "$bench/run" \
    "$bench/bindings" "$srcdir/tests/bench_units.py"
checker flake8 flake8 --extend-ignore E203,W503 "$bench"/*.py "$bench/run" \
    "$bench/bindings" "$srcdir/tests/bench_units.py"
report benchrun_test
