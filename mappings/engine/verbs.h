/*
 * verbs - what `vayla map` and `vayla check` do; main.c dispatches to them.
 * argv[0] is the verb.
 */
#ifndef VAYLA_ENGINE_VERBS_H
#define VAYLA_ENGINE_VERBS_H

int map_verb(int argc, char **argv);   /* check | test | run */
int check_verb(int argc, char **argv); /* [vayla.yaml] */

#endif
