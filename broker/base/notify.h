/*
 * notify - a word to systemd (sd_notify(3)): READY=1, STATUS=..., WATCHDOG=1.
 * Does nothing when nobody asked ($NOTIFY_SOCKET).
 */
#ifndef VAYLA_BASE_NOTIFY_H
#define VAYLA_BASE_NOTIFY_H

#include "broker/base/err.h"

void notify(const char *fmt, ...) PRINTF_LIKE(1, 2);
/* WATCHDOG=1, as often as $WATCHDOG_USEC wants it and no oftener: to be called
 * in every turn of the loop that must not stand still. One thread. */
void notify_alive(void);

#endif
