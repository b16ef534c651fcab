#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# The Python package: built by pip from a copy, against an installed library
# that is known by pkg-config alone; its tests, which use foreign clients; then
# the checkers of types and style.
# See tests/interop/common.sh for the environment.

# shellcheck source=tests/interop/common.sh
. "${srcdir:-.}/tests/interop/common.sh"

root=$dir/root
package=$dir/bindings/python
site=$dir/site
python=$(find_python) || unable "no python3"
export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1
export MYPY_CACHE_DIR=$dir/mypy

for module in cffi pip setuptools wheel pytest uvloop trio OpenSSL \
    prometheus_client cryptography; do
    "$python" -c "import $module" 2>/dev/null || unable "no $module for Python"
done
for tool in pkg-config openssl gnutls-cli make; do
    command -v "$tool" >/dev/null || unable "no $tool"
done
[ -e "$top_builddir/.libs/libdtlslisten.so" ] || unable "no shared library"

# The installed paths, below $root. Not as a part of the make that runs this.
install_library()
{
    local pc

    env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -C "$top_builddir" \
        install-exec install-data DESTDIR="$root" \
        >"$dir/install.log" 2>&1 || return 1
    pc=$(find "$root" -name dtlslisten.pc)
    [ -f "$pc" ] || return 1
    sed -i "s|^\([a-z_]*\)=/|\1=$root/|" "$pc"
    export PKG_CONFIG_PATH=${pc%/*}${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}
    LD_LIBRARY_PATH=$(pkg-config --variable=libdir dtlslisten)
    export LD_LIBRARY_PATH
}

# What the tests look at lies beside the package, as in the source tree.
install_package()
{
    ln -s "$(cd "$srcdir/examples" && pwd)" "$dir/examples" &&
        ln -s "$(cd "$srcdir/tests" && pwd)" "$dir/tests" || return 1
    cp -R "$srcdir/bindings" "$dir" && chmod -R u+w "$dir/bindings" &&
        "$python" -m pip install --no-build-isolation --no-deps --no-index \
            --target "$site" "$package" >"$dir/pip.log" 2>&1
}

# What the tests use besides.
export_tools()
{
    local tests

    tests=$(cd "$top_builddir/tests" && pwd)
    export DTLSL_HANDSHAKES=$tests/interop/handshakes
    export DTLSL_LIVE_BYTES=$tests/.libs/live_bytes.so
    export DTLSL_FULL_SOCKET=$tests/.libs/full_socket.so
    export PYTHONPATH=$site
}

run_pytest()
{
    (cd "$package/tests" && LD_PRELOAD=$DTLSL_FULL_SOCKET "$python" -m pytest \
        -q -W error -p no:cacheprovider --durations=10 --basetemp="$dir/tmp")
}

# checked NAME COMMAND...: one that need not be there, but must be content.
checked()
{
    local name=$1

    shift
    if ! (cd "$package" && "$@") >"$dir/$name.log" 2>&1; then
        not_ok "$name" "$(last_of "$dir/$name.log" 20)"
    else
        ok "$name"
    fi
}

# checker NAME ARGUMENT...: a module of Python's, if it is there.
checker()
{
    local name=$1

    shift
    if "$python" -c "import $name" 2>/dev/null; then
        checked "$name" "$python" -m "$name" "$@"
    else
        echo "without $name"
    fi
}

if ! install_library; then
    not_ok install "$(last_of "$dir/install.log" 5)"
elif ! install_package; then
    not_ok pip "$(last_of "$dir/pip.log" 20)"
else
    export_tools
    if run_pytest; then
        ok pytest
    else
        not_ok pytest "see above"
    fi
    checker mypy --config-file pyproject.toml --strict -p dtlslisten
    checker black --check -q .
    checker flake8 --extend-ignore E203,W503 --extend-exclude _cdef.py \
        dtlslisten tests setup.py cdef_build.py
fi
report python_test
