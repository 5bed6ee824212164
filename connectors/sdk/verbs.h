/*
 * verbs - what the roof calls: a connector's process, and the supervisor of
 * all of them. Both return an exit status of broker/base/opt.h.
 */
#ifndef VAYLA_CONNECTORS_SDK_VERBS_H
#define VAYLA_CONNECTORS_SDK_VERBS_H

/* vayla connector NAME [vayla.yaml] */
int connector_verb(int argc, char **argv);

/* vayla run [vayla.yaml] */
int run_verb(int argc, char **argv);

#endif
