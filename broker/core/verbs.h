/* verbs - what the roof calls of this room. Exit statuses of opt.h. */
#ifndef VAYLA_CORE_VERBS_H
#define VAYLA_CORE_VERBS_H

/* vayla broker [vayla.yaml] */
int broker_verb(int argc, char **argv);
/* vayla standby [vayla.yaml]: keep a copy of another machine's journal */
int standby_verb(int argc, char **argv);
/* vayla promote [vayla.yaml] --yes: the copy becomes the primary's */
int promote_verb(int argc, char **argv);
/* vayla verify [DATA]: log and index, while no broker runs */
int verify_verb(int argc, char **argv);

#endif
