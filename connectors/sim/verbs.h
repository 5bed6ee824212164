/*
 * verbs - what the roof calls: the stand-in for the far systems, and the
 * demonstration that starts everything and plays a day against it. Both return
 * an exit status of broker/base/opt.h.
 */
#ifndef VAYLA_SIM_VERBS_H
#define VAYLA_SIM_VERBS_H

/* vayla sim PACK... */
int sim_verb(int argc, char **argv);

/* vayla demo [vayla.yaml] */
int demo_verb(int argc, char **argv);

#endif
