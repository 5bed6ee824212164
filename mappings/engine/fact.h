/*
 * fact - the id of what a mapping states: the same fact has the same id
 * whichever version of the mapping says it.
 */
#ifndef VAYLA_ENGINE_FACT_H
#define VAYLA_ENGINE_FACT_H

#include "broker/base/slice.h"

#define FACT_ID 32 /* hex digits */

/* Hex of the first 16 bytes of SHA-256 over msgpack [system, type, subject,
 * id], subject and id as the mapping writes them. NUL at the end. */
void fact_id(struct slice system, struct slice type, struct slice subject,
    struct slice id, char out[FACT_ID + 1]);

#endif
