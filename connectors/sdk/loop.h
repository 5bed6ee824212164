/*
 * loop - one connector's process from open() to close(): see sdk.h.
 */
#ifndef VAYLA_CONNECTORS_SDK_LOOP_H
#define VAYLA_CONNECTORS_SDK_LOOP_H

#include "connectors/sdk/sdk.h"

/* s->kind, config, name, systems and arena are set. Runs until a signal says
 * so. SIGTERM and SIGINT are blocked from here on. */
enum err loop_run(struct sdk *s) MUST_CHECK;

/* For a supervisor: $VAYLA_READY_FD names a descriptor that gets one byte when
 * the process is at work. */
#define READY_ENV "VAYLA_READY_FD"

#endif
