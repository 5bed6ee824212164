/*
 * words - the words of mappings, schemas and packs, each list once and ended by
 * NULL: files are read by them, and the JSON Schemas for editors are made from
 * them.
 */
#ifndef VAYLA_ENGINE_WORDS_H
#define VAYLA_ENGINE_WORDS_H

/* a mapping's file, and its tests */
extern const char *const words_mapping[];
extern const char *const words_emit[];
extern const char *const words_subject[];
extern const char *const words_join[];
extern const char *const words_table[];
extern const char *const words_node[];
extern const char *const words_unmatched[];
extern const char *const words_column[];
extern const char *const words_by[];
extern const char *const words_join_absent[];
extern const char *const words_subject_absent[];
extern const char *const words_test[];
extern const char *const words_given[];
extern const char *const words_envelope[];
extern const char *const words_event[];
/* a schema */
extern const char *const words_schema[];
extern const char *const words_field[];
extern const char *const words_type[];
extern const char *const words_blank[];
extern const char *const words_seal[];
extern const char *const words_subject_of[];
extern const char *const words_scope[];
/* a pack.yaml */
extern const char *const words_pack[];
extern const char *const words_setting[];
extern const char *const words_setting_type[];
extern const char *const words_send[];
extern const char *const words_revised[];
extern const char *const words_spent[];
/* a system of vayla.yaml, beside its pack's settings */
extern const char *const words_system[];

#endif
