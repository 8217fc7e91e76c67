/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz.h: the entry that libFuzzer and main.c call. Targets use check() for what must hold.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
