/*
 * pack_inner - what pack.c and pack_settings.c share; nobody else includes it.
 */
#ifndef VAYLA_ENGINE_PACK_INNER_H
#define VAYLA_ENGINE_PACK_INNER_H

#include "broker/base/yaml_check.h"
#include "mappings/engine/pack.h"

/* The settings: section into p->settings, settings_open and settings_all. */
enum err pack_settings_load(
    struct pack *p, struct yaml_at *at, struct arena *a) MUST_CHECK;

#endif
