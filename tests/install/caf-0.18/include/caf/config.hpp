// SPDX-License-Identifier: BSD-3-Clause
// Stands for another CAF: all that the package looks at before it refuses.
#pragma once

#define CAF_VERSION 1806
