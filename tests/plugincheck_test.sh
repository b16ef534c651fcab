#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# dtlslisten-plugin-check: the bundled strategies pass, and each flaw of a
# module that is wrong on purpose is found by the checks that are for it.

# shellcheck source=tests/interop/common.sh
. "${srcdir:-.}/tests/interop/common.sh"

program=$top_builddir/tools/dtlslisten-plugin-check
modules=$top_builddir/tests/plugins/.libs
time=1795300000 # the key below is in force
uncounted=

# take FILE NAME: a copy that the loader trusts, under the name it should have.
take()
{
    cp "$1" "$dir/dtlsl_cookie_$2.so" && chmod 755 "$dir/dtlsl_cookie_$2.so"
}

# run NAME ARGUMENT...: its report is in $dir/NAME.out; prints its status.
run()
{
    local name=$1

    shift
    "$program" --time $time "$@" >"$dir/$name.out" 2>"$dir/$name.err"
    echo $?
}

# with RESULT NAME: the checks of that result; without the one that a sanitizer
# does not let run.
with()
{
    awk -v result="$1" -v drop="$uncounted" \
        '$1 == result && /^[a-z]/ && $2 != drop { print $2 }' \
        "$dir/$2.out" | tr '\n' ' ' | sed 's/ $//'
}

# same NAME EXPECTED SEEN
same()
{
    if [ "$2" = "$3" ]; then
        ok "$1"
    else
        not_ok "$1" "expected '$2', got '$3'"
    fi
}

# passes NAME MODULE SKIPPED OPTION...: with the plugin's options in $options.
passes()
{
    local name=$1 module=$2 skipped=$3

    shift 3
    same "$name: status" 0 "$(run "$name" "$@" \
        "$dir/dtlsl_cookie_$module.so" ${options:+"${options[@]}"})"
    same "$name: failed" "" "$(with failed "$name")"
    same "$name: warnings" "" "$(with warning "$name")"
    same "$name: skipped" "$skipped" "$(with skipped "$name")"
}

# expect FLAW FAILED WARNING [SKIPPED]: what is found, and nothing else. The
# runs come first, several at once.
declare -A failing warning skipping
flaws=()
expect()
{
    flaws+=("$1")
    failing[$1]=$2
    warning[$1]=$3
    skipping[$1]=${4:-}
}

# With a sanitizer each process is slow to start: the checks that find nothing
# have run without.
only_for()
{
    [ -z "$uncounted" ] ||
        echo "round-trip ${failing[$1]} ${warning[$1]} ${skipping[$1]}" |
        sed -E 's/([a-z-]+)/--check \1/g'
}

run_flaws()
{
    local cpus flaw only n=0

    cpus=$(nproc 2>/dev/null || echo 2)
    for flaw in "${flaws[@]}"; do
        read -r -a only < <(only_for "$flaw")
        run "$flaw" --limit 20 ${only:+"${only[@]}"} \
            "$dir/dtlsl_cookie_flawed.so" "flaw=$flaw" >"$dir/$flaw.status" &
        n=$((n + 1))
        [ $((n % cpus)) -ne 0 ] || wait
    done
    wait
}

judge_flaw()
{
    local status=0

    [[ " ${skipping[$1]} " != *" round-trip "* ]] || status=3
    [ -z "${failing[$1]}" ] || status=1
    same "$1: status" "$status" "$(cat "$dir/$1.status")"
    same "$1: failed" "${failing[$1]}" "$(with failed "$1")"
    same "$1: warnings" "${warning[$1]}" "$(with warning "$1")"
    same "$1: skipped" "${skipping[$1]}" "$(with skipped "$1")"
}

# says NAME TEXT: the report has it, lines joined.
says()
{
    if tr -s ' \n' '  ' <"$dir/$1.out" | grep -qF -e "$2"; then
        ok "$1 says $2"
    else
        not_ok "$1 says $2" "it does not"
    fi
}

[ -x "$program" ] || unable "$program is not there: make builds it"
[ -e "$modules/flawed.so" ] || unable "no test modules: make check builds them"
python=$(find_python) || unable "python3 is not there"

cat >"$dir/keys" <<'END'
dtlslisten-cluster-keys 1
key 7 1790000000 - hex:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f
END
for name in hmac cluster aead; do
    take "$top_builddir/plugins/.libs/dtlsl_cookie_$name.so" $name
done
take "$modules/flawed.so" flawed
counted=allocations
run counts --check allocations "$dir/dtlsl_cookie_hmac.so" >"$dir/counts.status"
if grep -q '^skipped allocations' "$dir/counts.out"; then
    counted=
    uncounted=allocations
fi

# The bundled ones
options=()
passes hmac hmac "option-twice foreign"
options=(lifetime-ms=10000 service=a)
passes hmac-short hmac foreign
options=("key-file=$dir/keys")
passes cluster cluster ""
passes aead-keys aead ""
options=(profile=fips app=hex:0102)
passes aead-fips aead ""
options=()
says hmac "lives 120000 ms"
says hmac-short "lives 10000 ms"
says cluster "lives 120000 ms"
says aead-fips "25 bytes seen"
options=(app=hex:00112233445566778899 max-app-len=10)
same "aead-long: status" 0 \
    "$(run aead-long "$dir/dtlsl_cookie_aead.so" "${options[@]}")"
same "aead-long: warnings" length "$(with warning aead-long)"
says aead-long "cookies of 33 bytes"

# Wrong on purpose
expect none "" ""
expect hides-peer "self-test peer" ""
expect hides-port "peer" ""
expect hides-random "self-test hello" ""
expect hides-session "hello" ""
expect rotates-away "rotation" ""
expect takes-all "self-test bits peer hello trim lengths garbage expiry \
clocks" ""
expect takes-half-a-tag "self-test bits garbage" ""
expect takes-longer "trim garbage" ""
expect wants-whole-hellos "fragments" ""
expect strict "" "foreign"
expect writes-over-cap "capacities" ""
expect returns-too-much "capacities" ""
expect returns-zero "capacities" ""
expect leaks-in-verify "memory" "$counted"
expect allocates "" "$counted"
expect leaks-in-close "open-close" ""
expect leaks-descriptors "open-close" ""
expect writes-over-result "result" ""
expect reads-behind-cookie "lengths garbage" ""
expect reads-behind-core "spans" ""
expect writes-to-input "input" ""
expect crashes "lengths" ""
expect hangs "lengths" ""
expect exits "lengths" ""
expect never-expires "expiry clocks" ""
expect wraps "expiry" ""
expect tells-wrong-age "age" ""
expect ticks-past "ticks" ""
expect loud "quiet" ""
expect leaves-errors "error-queue" "$counted"
expect writes-over-err "option-text" ""
expect silent "option-unknown" ""
expect takes-any-option "option-unknown" "" "option-text"
expect endless-counters "counters" ""
needy="round-trip bits peer hello extensions trim foreign fragments \
capacities lengths garbage spans input repeat result sizes age expiry clocks \
rotation cost"
expect wants-short-hellos "extensions" ""
expect gives-up "repeat" ""
expect wants-exact-sizes "sizes" ""
expect shares "two-states" ""
expect takes-options-once "option-twice" ""
expect rejects-its-own "self-test round-trip" "" \
    "two-states ${needy#round-trip }"
expect lets-in-one "" "" "two-states self-test $needy"
expect has-no-key "" "" "two-states self-test $needy"
run_flaws
for flaw in "${flaws[@]}"; do
    judge_flaw "$flaw"
done
says hides-port "VALID with another port, bit 0"
says crashes "crashed (signal 6"
says hangs "hangs: no end within 20 s"
says exits "ended the process (exit status 0)"
says reads-behind-core "it reads or writes behind the core"
says takes-half-a-tag 'manual: dtlslisten-cookie(7), "verify"'
says lets-in-one "with --peer"
says has-no-key "--time"
says has-no-key "skipped; it made no cookie: hardly anything was tested"
options=(flaw=lets-in-one)
passes one-peer flawed "self-test" --peer 198.51.100.7

# What is wrong with the file itself
for name in exports stack unlinked; do
    take "$modules/flawed_$name.so" flawed
    run $name "$dir/dtlsl_cookie_flawed.so" >"$dir/$name.status"
done
same exports symbols "$(with failed exports)"
says exports "dtlsl_test_nosymbol"
same unlinked undefined "$(with failed unlinked)"
# Newer C libraries do not load it at all.
case $(cat "$dir/stack.status") in
1) same stack segments "$(with failed stack)" ;;
*) same stack load "$(with failed stack)" ;;
esac
take "$modules/flawed_cut.so" flawed
same "cut: status" 0 \
    "$(run cut --check counters "$dir/dtlsl_cookie_flawed.so")"
same "cut: skipped" counters "$(with skipped cut)"
cp "$modules/flawed.so" "$dir/another.so"
chmod 755 "$dir/another.so"
same "another: status" 0 "$(run another "$dir/another.so")"
same another name "$(with warning another)"

# What cannot be loaded, and wrong calls
chmod 775 "$dir/another.so"
same "group-writable" 2 "$(run writable "$dir/another.so")"
says writable "can be written by others (mode 0775)"
take "$modules/flawed_crash.so" crashing
same "a crash at load" 2 "$(run atload "$dir/dtlsl_cookie_crashing.so")"
says atload "crashed (signal 6"
cp "$modules/badabi.so" "$dir/another.so"
chmod 755 "$dir/another.so"
same "badabi" 2 "$(run badabi --json "$dir/another.so")"
says badabi "it is for cookie ABI 99"
same "no file" 2 "$(run nofile "$dir/nothing.so")"
same "a hash in the file" 2 "$(run text "$dir/keys")"
for wrong in "" "--check nothing x" "--peer nobody x" "--seed -1 x" \
    "--limit 0 x" "--time 5 x" "--nothing" "x keyvalue" "x =value"; do
    # shellcheck disable=SC2086
    same "usage: $wrong" 2 "$(run usage $wrong)"
    if [ -s "$dir/usage.err" ] && [ ! -s "$dir/usage.out" ]; then
        ok "usage on stderr: $wrong"
    else
        not_ok "usage on stderr: $wrong" "$(last_of "$dir/usage.err")"
    fi
done

# A relative path; one check
same "relative" 0 "$(cd "$dir" &&
    "$(cd "$OLDPWD" && realpath "$program")" --check bits \
        ./dtlsl_cookie_hmac.so >"$dir/relative.out"
    echo $?)"
same "one check" "load bits" "$(with passed relative)"

# JSON, as a program reads it; texts of the plugin's are in it
take "$modules/flawed.so" flawed
run json --json --seed 7 "$dir/dtlsl_cookie_flawed.so" \
    flaw=hides-port >"$dir/json.status"
run ugly --json --check open "$dir/dtlsl_cookie_flawed.so" \
    "$(printf 'a"\\\t\377\303\244=\001')" >"$dir/ugly.status"
"$program" --list | awk '{ print $1 }' >"$dir/list"
if "$python" - "$dir" "$uncounted" >"$dir/python.out" 2>&1 <<'END'
import json, sys
path = sys.argv[1]
report = json.load(open(path + "/json.out", encoding="utf-8"))
names = open(path + "/list").read().split()
checks = report["checks"]
assert [c["name"] for c in checks] == names
assert [c["name"] for c in checks if c["result"] == "failed"] == ["peer"]
assert report["strategy"] == "flawed" and report["seed"] == 7
assert report["time"] == 1795300000 and report["options"] == ["flaw"]
skipped = [c["name"] for c in checks if c["result"] == "skipped"]
assert skipped == sys.argv[2].split() and report["skipped"] == len(skipped)
assert report["failed"] == 1 and report["warnings"] == 0
assert report["passed"] == len(names) - 1 - len(skipped)
for c in checks:
    assert set(c) >= {"name", "result", "expected", "seen", "manual"}
cost = checks[-1]
assert cost["name"] == "cost"
for name in ("mint_ns", "verify_ns", "hmac_mint_ns", "hmac_verify_ns"):
    assert cost[name] > 0
ugly = json.load(open(path + "/ugly.out", encoding="utf-8"))
assert ugly["options"] == ['a"\\\t\ufffd\u00e4']
assert ugly["checks"][1]["result"] == "failed"
assert "no option 'a\"\\\t\ufffd\u00e4'" in ugly["checks"][1]["seen"]
END
then
    ok json
else
    not_ok json "$(last_of "$dir/python.out" 3)"
fi

# The sections that it names, and the checks that its manual describes
page=$srcdir/libdtlslisten/man/dtlslisten-cookie.7
"$python" -c '
import json, sys
for c in json.load(open(sys.argv[1]))["checks"]:
    print(c["manual"])' "$dir/json.out" | sort -u >"$dir/sections"
while read -r section; do
    grep -qxE "\.S[hs] $section" "$page" ||
        not_ok "section" "$section is not in dtlslisten-cookie(7)"
done <"$dir/sections"
same "sections" 1 "$(($(wc -l <"$dir/sections") > 5))"
sed -n '/^\.Ss The checks/,/^\.El/s/^\.It Cm //p' \
    "$srcdir/tools/man/dtlslisten-plugin-check.1" >"$dir/described"
same "manual" "$(cat "$dir/list")" "$(cat "$dir/described")"
report plugincheck
