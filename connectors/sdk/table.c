/*
 * table - the connectors there are. A new one is two lines here and a folder
 * beside this one; nothing else names it.
 */
#include "connectors/sdk/sdk.h"

extern const struct connector connector_file;
extern const struct connector connector_http;
extern const struct connector connector_receiver;

const struct connector *const connector_table[] = {
    &connector_file,
    &connector_http,
    &connector_receiver,
    NULL,
};

const struct connector *
connector_for(const struct pack *p, bool single)
{
	for (size_t i = 0; connector_table[i] != NULL; i++)
		if (connector_table[i]->single == single &&
		    connector_table[i]->takes(p))
			return connector_table[i];
	return NULL;
}
