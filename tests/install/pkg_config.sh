#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# pkg_config.sh COMPILER FLAGS PC-FOLDER PROGRAM: builds the consumer by pkg-config alone and
# runs it.
set -eu
PKG_CONFIG_PATH=$3
export PKG_CONFIG_PATH
# shellcheck disable=SC2046,SC2086 # lists of flags
"$1" -std=c++20 $2 $(pkg-config --cflags coppice) "$(dirname "$0")/consumer/main.cpp" \
  $(pkg-config --libs coppice) -o "$4"
"$4"
