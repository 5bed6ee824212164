/*
 * report - what a running Vayla made of what it was sent, as a table for
 * people: what came in, was translated, went out, and what waits and why.
 */
#ifndef VAYLA_SIM_REPORT_H
#define VAYLA_SIM_REPORT_H

#include <stdio.h>

#include "broker/base/config.h"
#include "broker/wire/client.h"

/* Wait until nothing is to be delivered any more, at most `ms`. */
enum err report_quiet(struct client *c, int ms) MUST_CHECK;

enum err report_print(
    FILE *out, struct client *c, const struct config *conf) MUST_CHECK;

#endif
