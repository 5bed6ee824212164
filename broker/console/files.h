/* files - what the console shows, as it stands in the program. */
#ifndef VAYLA_CONSOLE_FILES_H
#define VAYLA_CONSOLE_FILES_H

#include "broker/base/slice.h"

/* The file served at an absolute path ("/app.js"); false when there is none.
 * The pages of the console all are "/index.html". */
bool console_file(const char *path, struct slice *body, const char **type);

#endif
