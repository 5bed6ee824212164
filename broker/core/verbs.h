/* verbs - what the roof calls of this room. Exit statuses of opt.h. */
#ifndef VAYLA_CORE_VERBS_H
#define VAYLA_CORE_VERBS_H

/* vayla broker [vayla.yaml] */
int broker_verb(int argc, char **argv);
/* vayla verify [DATA]: log and index, while no broker runs */
int verify_verb(int argc, char **argv);

#endif
