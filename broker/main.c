/* main - the roof: one program with verbs. */
#include <stdio.h>

#include "broker/base/opt.h"

int
main(int argc, char **argv)
{
	(void)argv;
	fprintf(stderr, "usage: vayla VERB ...\n");
	return argc < 2 ? EXIT_USAGE : EXIT_FAILED;
}
