/*
 * rows - `vayla map rows`: a file as the connector would read it, for people
 * who write a mapping of it.
 */
#ifndef VAYLA_FILE_ROWS_H
#define VAYLA_FILE_ROWS_H

/* An exit status of broker/base/opt.h. */
int rows_verb(int argc, char **argv);

#endif
