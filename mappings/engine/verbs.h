/*
 * verbs - what `vayla map` does; main.c dispatches to it.
 * argv[0] is the verb.
 */
#ifndef VAYLA_ENGINE_VERBS_H
#define VAYLA_ENGINE_VERBS_H

int map_verb(int argc, char **argv); /* check | test | run */

#endif
