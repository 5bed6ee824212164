/*
 * verbs - what `vayla map` does; main.c dispatches to it.
 * argv[0] is the verb.
 */
#ifndef VAYLA_ENGINE_VERBS_H
#define VAYLA_ENGINE_VERBS_H

struct map_verb {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help;
};

/* Those that need no installation, and `more`, of the roof; NULL name ends it.
 */
int map_verb(int argc, char **argv, const struct map_verb *more);

int map_learn(int argc, char **argv);

#endif
