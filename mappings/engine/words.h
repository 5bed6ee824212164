/*
 * words - the words of a mapping's file, each list once: files are read by
 * them, and the JSON Schema for editors is made from them.
 */
#ifndef VAYLA_ENGINE_WORDS_H
#define VAYLA_ENGINE_WORDS_H

extern const char *const words_mapping[],
    *const words_emit[],
	*const words_subject[],
	    *const words_join[],
		*const words_table[],
		    *const words_node[],
			*const words_unmatched[],
			    *const words_column[],
				*const words_by[],
				    *const words_join_absent[],
					*const words_subject_absent[];
extern const char *const words_test[],
    *const words_given[], *const words_envelope[], *const words_event[];

#endif
