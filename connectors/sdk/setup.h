/*
 * setup - what a process of ours knows before it does anything: vayla.yaml, the
 * packs of its systems (without their mappings, which are the broker's), the
 * systems' settings.
 */
#ifndef VAYLA_CONNECTORS_SDK_SETUP_H
#define VAYLA_CONNECTORS_SDK_SETUP_H

#include "connectors/sdk/sdk.h"

struct setup {
	struct config *config;
	struct arena arena;
	size_t n; /* one for each of config->systems, in their order */
	struct sdk_system *systems;
	struct buf *secrets; /* n of them: what `all` points to */
};

/* Everything that is wrong, in `f`; ERR_CONFIG when there is any. */
enum err setup_open(
    struct setup *s, const char *file, struct faults *f) MUST_CHECK;
void setup_close(struct setup *s); /* wipes the secrets */

/* vayla.yaml as given, by $VAYLA_CONFIG, here, or in /etc/vayla. */
const char *setup_file(const char *given);

#endif
