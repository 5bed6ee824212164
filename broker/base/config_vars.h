/*
 * config_vars - ${VAR} in the values of vayla.yaml.
 *
 *     ${VAR}            its value; a fault when it is set nowhere
 *     ${VAR:-default}   the default when it is unset or empty
 *     ${VAR:?message}   a fault with this message when it is unset or empty
 *     $${               the text "${"
 *
 * VAR is looked for in the environment, then as a file named by VAR_FILE, then
 * as $CREDENTIALS_DIRECTORY/VAR (systemd's LoadCredential). One final newline
 * of a file is cut.
 */
#ifndef VAYLA_BASE_CONFIG_VARS_H
#define VAYLA_BASE_CONFIG_VARS_H

#include "broker/base/yaml.h"

/* Replace in every scalar of the tree but the keys. Each one that cannot be
 * replaced is a fault. ERR_LIMIT when the arena is full. */
enum err config_vars(const char *file, struct yaml *root, struct arena *a,
    struct faults *f) MUST_CHECK;

#endif
