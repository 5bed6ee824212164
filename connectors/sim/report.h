/*
 * report - what a running Vayla made of what it was sent, as a table for
 * people: what came in, was translated, went out, and what waits and why.
 */
#ifndef VAYLA_SIM_REPORT_H
#define VAYLA_SIM_REPORT_H

#include <stdio.h>

#include "broker/wire/client.h"
#include "connectors/sim/far.h"

/* Wait until nothing is to be delivered any more, at most `ms`; far sides
 * answer meanwhile (`far` may be NULL). */
enum err report_quiet(struct client *c, struct far *far, int ms) MUST_CHECK;

enum err report_print(
    FILE *out, struct client *c, const struct actors *a) MUST_CHECK;

#endif
