#!/bin/sh
# SPDX-License-Identifier: MIT
# Makes ./configure; needs autoconf, automake, libtool and pkg-config.
cd "$(dirname "$0")" && exec autoreconf --install "$@"
