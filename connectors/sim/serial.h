/*
 * serial - the order numbers of a simulated shop, which go on where the last
 * run on the same journal ended: a file beside it holds the next one.
 */
#ifndef VAYLA_SIM_SERIAL_H
#define VAYLA_SIM_SERIAL_H

#include "broker/base/config.h"

#define SERIAL_FIRST 1001

/* Reserve `count` numbers; *first is the first of them. */
enum err serial_take(
    const struct config *c, int64_t count, int64_t *first) MUST_CHECK;

#endif
