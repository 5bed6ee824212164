/* run - `vayla run [vayla.yaml]`: see run.c. Returns an exit status. */
#ifndef VAYLA_RUN_H
#define VAYLA_RUN_H

int run_verb(int argc, char **argv);

#endif
