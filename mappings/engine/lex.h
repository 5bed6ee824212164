/*
 * lex - an expression's text as tokens, one in hand; what expr.c parses with.
 *
 * The first mistake is told, with its place, and ends the parse: every further
 * token is then T_END.
 */
#ifndef VAYLA_ENGINE_LEX_H
#define VAYLA_ENGINE_LEX_H

#include "mappings/engine/lang.h"

enum token {
	T_END,
	T_NAME,
	T_ROOT, /* $in */
	T_NUMBER,
	T_TEXT, /* stands on the quote */
	T_EQ,
	T_NE,
	T_LE,
	T_GE,
	T_ALT,
	T_BAD
	/* any other: its character, from '(' up; all are above T_BAD */
};

struct lex {
	struct lang *l;
	const struct source *src;
	const uint8_t *s;
	size_t n, i; /* i: behind the token in hand */
	int tok;
	size_t at;    /* where it begins */
	size_t ended; /* where the last consumed one ended */
	unsigned depth, made;
	bool failed, silent;
};

void lex_fail(struct lex *p, size_t at, const char *fmt, ...) PRINTF_LIKE(3, 4);
size_t lex_name_end(const struct lex *p, size_t i);
void lex_next(struct lex *p);
bool lex_is(const struct lex *p, const char *word); /* this word in hand? */
bool lex_accept(struct lex *p, int tok);
bool lex_word(struct lex *p, const char *word); /* accept it */
void lex_expect(struct lex *p, int tok, const char *what);
struct slice lex_text(const struct lex *p); /* of the token in hand */

#endif
